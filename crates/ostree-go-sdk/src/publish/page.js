// The page is complete without this script, except for its own address and the buttons.
for (const place of document.querySelectorAll('.url'))
  place.textContent = location.href.replace(/[?#].*$/, '').replace(/[^/]*$/, '').replace(/\/$/, '');
for (const note of document.querySelectorAll('.no-script')) note.remove();
for (const pre of document.querySelectorAll('pre')) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Copy';
  button.setAttribute('aria-label', 'Copy the commands for ' + pre.id);
  button.onclick = async () => {
    let copied = true;
    try {
      await navigator.clipboard.writeText(pre.textContent);
    } catch {
      // Browsers offer the clipboard only to pages from https. The older way copies what is selected.
      getSelection().selectAllChildren(pre);
      copied = document.execCommand('copy');
    }
    button.textContent = copied ? 'Copied' : 'Press Ctrl+C';
    setTimeout(() => button.textContent = 'Copy', 2000);
  };
  pre.previousElementSibling.append(button);
}
