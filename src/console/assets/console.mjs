// What works only with scripts: times of the reader's zone, copying, search as one types, and
// figures that renew themselves. Everything else on the pages works without this file.

const REFRESH_MS = 5000;
const TYPING_MS = 200;

function showTimes(root) {
  for (const time of root.querySelectorAll('time')) {
    const date = new Date(time.dateTime);
    time.title = time.textContent;
    time.textContent = date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  }
}

/** Replaces an element of this page by the same element of the page at an address. */
async function replace(selector, address, signal) {
  const response = await fetch(address, { headers: { Accept: 'text/html' }, signal });
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  const [old, fresh] = [document.querySelector(selector), page.querySelector(selector)];
  if (old === null || fresh === null) return;
  showTimes(fresh);
  old.replaceWith(fresh);
}

function addCopyButtons() {
  if (navigator.clipboard === undefined) return; // not a secure context
  for (const input of document.querySelectorAll('input[data-copy]')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = 'Copy';
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(input.value);
      button.textContent = 'Copied';
    });
    input.parentElement?.after(button);
  }
}

function searchWhileTyping() {
  const form = document.querySelector('form[data-search]');
  let timer;
  let search = new AbortController();
  const run = () => {
    search.abort();
    search = new AbortController();
    const query = new URLSearchParams(new FormData(form));
    const address = `${form.getAttribute('action')}?${query}`;
    history.replaceState(null, '', address);
    replace('#results', address, search.signal).catch(() => {}); // the next key, or the button
  };
  form?.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(run, TYPING_MS);
  });
}

function refresh() {
  if (document.querySelector('main[data-live]') === null) return;
  setInterval(() => {
    if (document.hidden) return;
    replace('[data-refresh]', location.href).catch(() => {}); // the server is away; later again
  }, REFRESH_MS);
}

showTimes(document);
addCopyButtons();
searchWhileTyping();
refresh();
