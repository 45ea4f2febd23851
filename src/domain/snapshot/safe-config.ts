/** Both match lines without surrounding space. */
const SECTION = /^\[\s*([a-z]+)\s*\]$/i;
const SETTING = /^([a-z]+)\s*=(?:\s*[a-z0-9]+)?$/i;
/** Settings that describe files; none names a program or another place. */
const KEPT = new Set([
  'core.repositoryformatversion',
  'core.filemode',
  'core.bare',
  'extensions.objectformat',
  'extensions.compatobjectformat',
  'extensions.refstorage',
  'extensions.noop',
]);

/**
 * Returns the part of a `config` file from a stranger that git may read: the format of the
 * repository. Lines that are kept stay as they are.
 */
export function safeConfig(content: Buffer): Buffer {
  let section = '';
  const kept = content
    .toString('latin1')
    .split('\n')
    .filter((line) => {
      const text = line.trim();
      const begun = SECTION.exec(text)?.[1];
      if (begun !== undefined) {
        section = begun.toLowerCase();
        return section === 'core' || section === 'extensions';
      }
      if (text === '') return true;
      if (text.startsWith('[')) section = '';
      const key = SETTING.exec(text)?.[1];
      return key !== undefined && KEPT.has(`${section}.${key.toLowerCase()}`);
    });
  return Buffer.from(kept.join('\n'), 'latin1');
}
