// Whether the kernel behind a widget is gone, as far as the front end tells: what is shown is as it was then.
function kernelIsGone(model, element) {
  if (element.closest(".jupyter-widgets-disconnected, .jp-mod-disconnected")) return true;
  const context = model.widget_manager?.context?.sessionContext;
  if (!context) return false; // another front end
  const kernel = context.session?.kernel;
  return !kernel || kernel.isDisposed || kernel.status === "dead" || kernel.status === "terminating";
}
