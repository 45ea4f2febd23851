/** Accepted forms beyond a plain revision. */
export interface RevisionRules {
  readonly allowEmpty?: boolean;
  /** Accepts `<revision>:<path>`: only the part before the first colon is checked. */
  readonly allowPathScoped?: boolean;
  /**
   * `--all`, `--not`, `--branches`, `--tags`, `--alternate-refs`, `--branches=…`, `--tags=…`,
   * `--glob=…`.
   */
  readonly allowPseudo?: boolean;
}

const PSEUDO = /^--(?:all|not|branches|tags|alternate-refs)$|^--(?:branches|tags|glob)=/;

/**
 * Describes the problem of a user's revision; `undefined` if it is valid. The first failing check
 * is used; the texts reach clients. It checks only safety and shape; git decides whether the
 * revision exists.
 */
export function validateRevision(
  revision: string | Uint8Array,
  rules: RevisionRules = {},
): string | undefined {
  // One character per byte: every check is about ASCII, so the encoding does not matter.
  let text = typeof revision === 'string' ? revision : latin1(revision);
  if (rules.allowPseudo === true && PSEUDO.test(text)) return undefined;
  if (text.startsWith('-')) return "revision can't start with '-'";
  if (text.includes('\0')) return "revision can't contain NUL";
  if (rules.allowPathScoped === true) text = text.split(':', 1)[0] ?? '';
  if (text === '' && rules.allowEmpty !== true) return 'empty revision';
  if (/[ \t\n\r]/.test(text)) return "revision can't contain whitespace";
  if (text.includes(':')) return "revision can't contain ':'";
  if (text.includes('\\')) return "revision can't contain '\\'";
  return undefined;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
