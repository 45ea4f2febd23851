// What works only with scripts: times of the reader's zone, copying, search as one types, and
// parts that renew themselves. Everything else on the pages works without this file.

const REFRESH_MS = 5000;
const TYPING_MS = 200;

/** Making one takes longer than a hundred times of a page. */
let timeFormat;

function showTimes(root) {
  timeFormat ??= new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  for (const time of root.querySelectorAll('time')) {
    time.title = time.textContent;
    time.textContent = timeFormat.format(new Date(time.dateTime));
  }
}

/** Replaces an element of this page by the same element of another version of it. */
function show(selector, markup) {
  const page = new DOMParser().parseFromString(markup, 'text/html');
  const [old, fresh] = [document.querySelector(selector), page.querySelector(selector)];
  if (old === null || fresh === null) return;
  showTimes(fresh);
  old.replaceWith(fresh);
}

/** Shows the element of the page at an address. */
async function load(selector, address, signal) {
  const response = await fetch(address, { headers: { Accept: 'text/html' }, signal });
  if (response.ok) show(selector, await response.text());
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
    load('#results', address, search.signal).then(live, () => {}); // the next key, or the button
  };
  form?.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(run, TYPING_MS);
  });
}

/** Ends what renews the page now. */
let stopLive = () => {};

/** Renews the live part of the page by server-sent events while the page is visible. */
function live() {
  stopLive();
  if (document.querySelector('main[data-live]') === null || document.hidden) return;
  const source = new EventSource(location.href);
  let timer;
  stopLive = () => {
    source.close();
    clearInterval(timer);
  };
  source.addEventListener('message', (event) => renew(JSON.parse(event.data)));
  source.addEventListener('end', stopLive);
  source.addEventListener('error', () => {
    if (source.readyState !== EventSource.CLOSED || timer !== undefined) return; // it connects again
    timer = setInterval(poll, REFRESH_MS); // the server has enough streams, or a proxy allows none
  });
}

/** Leaves a part with the focus as it is: its reader would lose the place. */
function renew(markup) {
  const part = document.querySelector('[data-refresh]');
  if (part !== null && !part.contains(document.activeElement)) show('[data-refresh]', markup);
}

async function poll() {
  const response = await fetch(location.href, { headers: { Accept: 'text/html' } }).catch(() => undefined);
  if (response?.ok) renew(await response.text()); // otherwise the server is away; later again
}

function start() {
  searchWhileTyping();
  showTimes(document);
  addCopyButtons();
  live();
  document.addEventListener('visibilitychange', live);
}

// The page is complete without a script, so its first paint comes first: the second frame begins
// after it. A hidden page has no frames.
if (document.hidden) start();
else requestAnimationFrame(() => requestAnimationFrame(start));
