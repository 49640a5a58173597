/** The element that has the keyboard, as the tree of `place` tells it: the document knows none in a shadow tree, as marimo's. */
export function focusedNear(place: Node): Element | null {
  const root = place.getRootNode();
  return root instanceof ShadowRoot ? root.activeElement : document.activeElement;
}
