async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return;
  } catch {
    // no clipboard here, or not for this page: the old way works in most of these
  }
  const area = document.createElement("textarea");
  area.style.cssText = "position:fixed;opacity:0";
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
