import assert from 'node:assert/strict';
import { test } from 'node:test';
import { html, visible } from './html.ts';

test('texts are escaped wherever they stand', () => {
  const hostile = `"><script>alert('1')</script>&amp;`;

  const markup = html`<a title="${hostile}">${hostile}</a>`.toString();

  const escaped = '&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;';
  assert.equal(markup, `<a title="${escaped}">${escaped}</a>`);
});

test('markup, lists and numbers are joined, and nothing stands for nothing', () => {
  const items = ['<a>', 'b'].map((text) => html`<li>${text}</li>`);

  assert.equal(
    html`<ul class="n${2}">${items}${undefined}</ul>`.toString(),
    '<ul class="n2"><li>&lt;a&gt;</li><li>b</li></ul>',
  );
});

test('what nobody sees becomes visible, letters and emoji stay', () => {
  assert.equal(
    visible('a\u202Eb\u2066c\u200Bd\u0000\u001B\r'),
    'a⟨U+202E⟩b⟨U+2066⟩c⟨U+200B⟩d⟨U+0000⟩⟨U+001B⟩⟨U+000D⟩',
  );
  assert.equal(visible('tab\tline\n äß 日本 👩‍💻'), 'tab\tline\n äß 日本 👩‍💻');
});
