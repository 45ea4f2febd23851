const SECTION = /^\s*\[\s*([a-z]+)\s*\]\s*$/i;
const SETTING = /^\s*([a-z]+)\s*=\s*([a-z0-9]*)\s*$/i;
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
      const begun = SECTION.exec(line)?.[1];
      if (begun !== undefined) {
        section = begun.toLowerCase();
        return section === 'core' || section === 'extensions';
      }
      if (line.trim() === '') return true;
      if (line.trimStart().startsWith('[')) section = '';
      const key = SETTING.exec(line)?.[1];
      return key !== undefined && KEPT.has(`${section}.${key.toLowerCase()}`);
    });
  return Buffer.from(kept.join('\n'), 'latin1');
}
