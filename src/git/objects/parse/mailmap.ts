import { LoopSlice } from '#base/async/loop-turns';
import { GIT_SPACE, trimmed, trimmedEnd } from '#base/trim';

/** A replacement of a name and an address; either may be unchanged. */
interface Replacement {
  readonly name: string | undefined;
  readonly email: string | undefined;
}

/**
 * A `.mailmap` file: replacements for authors and committers. It is applied here and not by
 * `cat-file --use-mailmap`, because that reads the file once in the life of a process, and git 2.39
 * announces wrong sizes (see README.md). Strings have one character per byte. Names and addresses
 * are compared without regard to ASCII case, as in git.
 */
export class Mailmap {
  /** Replacements by address, in lower case like all keys. */
  readonly #byEmail = new Map<string, Replacement>();
  /** Replacements that apply only to a certain old name, by address and name. */
  readonly #byName = new Map<string, Replacement>();

  /**
   * Parses the text of a `.mailmap` in slices of the event loop. Malformed lines are skipped; a NUL
   * ends the file.
   */
  static async parse(data: Buffer): Promise<Mailmap> {
    const mailmap = new Mailmap();
    const slice = new LoopSlice();
    const [text = ''] = data.toString('latin1').split('\0', 1);
    for (let start = 0; start < text.length; ) {
      const lf = text.indexOf('\n', start);
      const end = lf === -1 ? text.length : lf;
      mailmap.#addLine(text.slice(start, end));
      start = end + 1;
      if (slice.isOverAfterItem()) await slice.pause();
    }
    return mailmap;
  }

  /** Number of replacements: some 150 bytes each, in addition to their texts. */
  get size(): number {
    return this.#byEmail.size + this.#byName.size;
  }

  /**
   * Replaces the person in the value of an `author`, `committer` or `tagger` header: `Name <email>
   * date zone`. Returns the same buffer if there is nothing to replace.
   */
  mapIdent(line: Buffer): Buffer {
    const text = line.toString('latin1');
    const open = text.indexOf('<');
    const close = open === -1 ? -1 : text.indexOf('>', open);
    if (close === -1) return line;
    const name = trimmedEnd(text.slice(0, open), GIT_SPACE);
    const email = text.slice(open + 1, close);
    const found = this.#find(name, email);
    if (found === undefined) return line;
    return Buffer.from(`${found.name ?? name} <${found.email ?? email}>${text.slice(close + 1)}`, 'latin1');
  }

  #find(name: string, email: string): Replacement | undefined {
    const key = foldCase(email);
    return this.#byName.get(keyOf(key, foldCase(name))) ?? this.#byEmail.get(key);
  }

  #addLine(line: string): void {
    if (line.startsWith('#')) return;
    const first = parsePerson(line, false);
    if (first === undefined) return;
    const second = first.rest === '' ? undefined : parsePerson(first.rest, true);
    // With one address the line is about that address; with two it is about the second.
    const email = second === undefined ? undefined : first.email;
    const key = foldCase(second?.email ?? first.email);
    const replacement = { name: first.name, email };
    if (second?.name !== undefined) this.#byName.set(keyOf(key, foldCase(second.name)), replacement);
    else if (first.name !== undefined || email !== undefined) {
      const before = this.#byEmail.get(key);
      this.#byEmail.set(key, { name: first.name ?? before?.name, email: email ?? before?.email });
    }
  }
}

/** A NUL is in no line of a file. */
function keyOf(email: string, name: string): string {
  return `${email}\0${name}`;
}

/** Parses `Name <email>` at the start of a line; the name is `undefined` if it is empty. */
function parsePerson(
  line: string,
  allowEmptyEmail: boolean,
): { name: string | undefined; email: string; rest: string } | undefined {
  const open = line.indexOf('<');
  const close = open === -1 ? -1 : line.indexOf('>', open + 1);
  if (close === -1 || (close === open + 1 && !allowEmptyEmail)) return undefined;
  const name = trimmed(line.slice(0, open), GIT_SPACE);
  return {
    name: name === '' ? undefined : name,
    email: line.slice(open + 1, close),
    rest: line.slice(close + 1),
  };
}

function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
