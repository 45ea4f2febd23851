import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_RENDERED_BYTES, Renderer } from './renderer.ts';

const markdown = (text: string) => ({ kind: 'markdown', text, base: '/f/', query: '' }) as const;

test('texts are rendered in a thread, in order, with invisible characters shown', async () => {
  await using renderer = new Renderer();

  const results = await Promise.all([
    renderer.render(markdown('*a\u202E* &#x202e; <b title="&rlm;">&#8203;</b>')),
    renderer.render({ kind: 'code', text: 'let a;', name: 'a.ts' }),
    renderer.render({ kind: 'code', text: 'a', name: 'a.unknown' }),
  ]);

  assert.deepEqual(results.map(String), [
    '<p><em>a⟨U+202E⟩</em> ⟨U+202E⟩ <b>⟨U+200B⟩</b></p>\n',
    '<span class="hljs-keyword">let</span> a;',
    'undefined',
  ]);
});

// Each visit of a repository rendered its README again.
test('a text is rendered once for the same place', async () => {
  await using renderer = new Renderer();
  const links = (base: string) => ({ kind: 'markdown', text: '[a](b)', base, query: '' }) as const;
  const first = await renderer.render(links('/x.git/-/files/'));

  let again: unknown;
  void renderer.render(links('/x.git/-/files/')).then((markup) => {
    again = markup;
  });
  for (let step = 0; step < 100 && again === undefined; step++) await undefined; // no thread responds

  assert.equal(again, first);
  assert.equal(
    String(await renderer.render(links('/y.git/-/files/'))),
    '<p><a href="/y.git/-/files/b" rel="noopener noreferrer nofollow">a</a></p>\n',
  );
  assert.equal(
    String(await renderer.render({ kind: 'code', text: '[a](b)', name: 'a.md' })).includes('href'),
    false,
  );
});

test('what is long, or one of too many, is left as it is', async () => {
  await using renderer = new Renderer();

  assert.equal(await renderer.render(markdown('a'.repeat(MAX_RENDERED_BYTES + 1))), undefined);
  const results = await Promise.all(Array.from({ length: 40 }, () => renderer.render(markdown('a'))));
  const rendered = results.filter((markup) => markup !== undefined);
  assert.ok(rendered.length >= 16 && rendered.length < 40, `${rendered.length} of 40`);
});

for (const [name, text] of [
  ['brackets', '['.repeat(100_000)],
  ['nested quotes', '>'.repeat(100_000)],
  ['emphasis', '*a_'.repeat(60_000)],
  ['backticks', Array.from({ length: 600 }, (_, index) => '`'.repeat(index)).join(' ')],
  ['links', '[a]('.repeat(50_000)],
] as const) {
  test(`${name} end, and the next text is rendered`, async () => {
    await using renderer = new Renderer();
    const startedMs = performance.now();

    await renderer.render(markdown(text));

    assert.ok(performance.now() - startedMs < 20_000);
    assert.equal(String(await renderer.render(markdown('a'))), '<p>a</p>\n');
  });
}

test('after its end it renders nothing, and waits for nothing', async () => {
  const renderer = new Renderer();
  const running = renderer.render(markdown('a'));
  const waiting = renderer.render(markdown('b'));
  await renderer[Symbol.asyncDispose]();

  assert.deepEqual(await Promise.all([running, waiting]), [undefined, undefined]);
});
