// Puts text into the clipboard, also on a page that came without TLS.

export async function copy(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Denied: the older way may still be allowed.
    }
  }
  return copyBySelection(text);
}

// `navigator.clipboard` exists only for https and loopback; browsers have no other way elsewhere.
function copyBySelection(text) {
  const area = document.createElement("textarea");
  const focused = document.activeElement;
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return copied;
}
