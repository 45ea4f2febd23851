/** Checks of a full reference name; the first failing one determines the text. */
const CHECKS: readonly (readonly [(name: string) => boolean, string])[] = [
  [(name) => name === 'HEAD', 'HEAD reference not allowed'],
  [(name) => !name.startsWith('refs/'), 'reference is not fully qualified'],
  [(name) => name === 'refs/', 'refs/ is not a valid reference'],
  [(name) => name.endsWith('/'), 'reference must not end with slash'],
  [(name) => name.endsWith('.'), 'reference must not end with dot'],
  [(name) => name.includes('@{'), 'reference must not contain @{'],
  [(name) => name.includes('..'), 'reference must not contain double dots'],
  [(name) => /[ \t\n]/.test(name), 'reference must not contain space characters'],
  [(name) => /[:?[\\^~*\x7f]/.test(name), 'reference must not contain special characters'],
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what the rule is about
  [(name) => /[\x00-\x1f]/.test(name), 'reference must not contain control characters'],
  [(name) => name.split('/').includes(''), 'empty component is not allowed'],
  [
    (name) => name.split('/').some((component) => component.startsWith('.')),
    'component must not start with dot',
  ],
  [
    (name) => name.split('/').some((component) => component.endsWith('.lock')),
    'component must not end with .lock',
  ],
];

/** Anything that one of the checks may object to. */
const SUSPICIOUS = /[^\x21-\xff]|[:?[\\^~*\x7f]|\.\.|@\{|\/[/.]|\.lock(?:\/|$)|[/.]$/;

/**
 * Describes the problem of a full reference name (`refs/…`); `undefined` if it is valid. The texts
 * reach clients. Bytes that are not UTF-8 are accepted, as in git.
 */
export function validateReference(name: string | Uint8Array): string | undefined {
  const text =
    typeof name === 'string'
      ? name
      : Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('latin1');
  if (text.startsWith('refs/') && !SUSPICIOUS.test(text)) return undefined;
  return CHECKS.find(([fails]) => fails(text))?.[1];
}
