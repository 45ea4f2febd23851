import { GIT_SPACE, trimmed, trimmedEnd } from '#base/trim';

/** A replacement of a name and an address; either may be unchanged. */
interface Replacement {
  readonly name: string | undefined;
  readonly email: string | undefined;
}

interface Entry {
  name: string | undefined;
  email: string | undefined;
  /** Replacements that apply only to a certain old name (lower case). */
  readonly byName: Map<string, Replacement>;
}

/**
 * A `.mailmap` file: replacements for authors and committers. It is applied here and not by
 * `cat-file --use-mailmap`, because that reads the file once in the life of a process, and git 2.39
 * announces wrong sizes (see README.md). Strings have one character per byte. Names and addresses
 * are compared without regard to ASCII case, as in git.
 */
export class Mailmap {
  readonly #entries = new Map<string, Entry>();

  /** Parses the text of a `.mailmap`. Malformed lines are skipped; a NUL ends the file. */
  static parse(data: Buffer): Mailmap {
    const mailmap = new Mailmap();
    const [text = ''] = data.toString('latin1').split('\0', 1);
    for (const line of text.split('\n')) mailmap.#addLine(line);
    return mailmap;
  }

  /** True if there is nothing to replace. */
  get isEmpty(): boolean {
    return this.#entries.size === 0;
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
    const entry = this.#entries.get(foldCase(email));
    const found: Replacement | undefined = entry?.byName.get(foldCase(name)) ?? entry;
    return found?.name === undefined && found?.email === undefined ? undefined : found;
  }

  #addLine(line: string): void {
    if (line.startsWith('#')) return;
    const first = parsePerson(line, false);
    if (first === undefined) return;
    const second = first.rest === '' ? undefined : parsePerson(first.rest, true);
    // With one address the line is about that address; with two it is about the second.
    const newEmail = second === undefined ? undefined : first.email;
    const entry = this.#entry(second?.email ?? first.email);
    if (second?.name === undefined) {
      entry.name = first.name ?? entry.name;
      entry.email = newEmail ?? entry.email;
    } else {
      entry.byName.set(foldCase(second.name), { name: first.name, email: newEmail });
    }
  }

  #entry(email: string): Entry {
    const key = foldCase(email);
    const entry = this.#entries.get(key) ?? { name: undefined, email: undefined, byName: new Map() };
    this.#entries.set(key, entry);
    return entry;
  }
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
