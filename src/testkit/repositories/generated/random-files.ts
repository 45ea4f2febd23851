import type { OidDigits } from '#git/names/object-id';
import type { Random } from '../random-history.ts';

/** Generates versions of a directory. Few different lines make many ways to align files. */
export class RandomFiles {
  readonly #random: Random;
  readonly #files = new Map<string, { mode: string; lines: string[]; isComplete: boolean }>();
  readonly #digits: OidDigits;
  readonly #words: number;

  constructor(random: Random, digits: OidDigits) {
    this.#random = random;
    this.#digits = digits;
    this.#words = [2, 3, 5, 10, 40, 400][this.#below(6)] ?? 2;
  }

  /** Changes some files and returns the commands of `git fast-import` that write all of them. */
  next(): Buffer {
    for (let changes = this.#below(5); changes >= 0; changes--) this.#change();
    const parts = [...this.#files].map(([name, { mode, lines, isComplete }]) => {
      if (mode === '160000') {
        const oid = String(1 + (lines.length % 9)).repeat(this.#digits);
        return Buffer.from(`M ${mode} ${oid} ${name}\n`);
      }
      const data = Buffer.from(lines.join('\n') + (isComplete ? '\n' : ''), 'latin1');
      const head = `M ${mode} inline ${name}\ndata ${data.length}\n`;
      return Buffer.concat([Buffer.from(head), data, Buffer.from('\n')]);
    });
    return Buffer.concat([Buffer.from('deleteall\n'), ...parts]);
  }

  #change(): void {
    const names = ['a', 'b c', 'd/e.c', 'd/f/g', 'd-h', '"q\\303\\244\\"t"', 'z/y'];
    const name = names[this.#below(names.length)] ?? 'a';
    const file = this.#files.get(name);
    const kind = this.#below(20);
    if (file === undefined || kind === 0) {
      const mode = ['100644', '100644', '100644', '100755', '120000', '160000'][this.#below(6)] ?? '';
      const count = [0, 1, 3, 8, 20, 60, 200, 900][this.#below(8)] ?? 0;
      this.#files.set(name, { mode, lines: this.#lines(count), isComplete: this.#below(4) > 0 });
    } else if (kind === 1) this.#files.delete(name);
    else if (kind === 2) file.mode = file.mode === '100644' ? '100755' : '100644';
    else if (kind === 3) {
      this.#files.delete(name);
      this.#files.set(names[this.#below(names.length)] ?? 'a', file);
    } else {
      file.lines = this.#edited(file.lines);
      file.isComplete = this.#below(10) > 0;
    }
  }

  #edited(before: readonly string[]): string[] {
    const after = [...before];
    for (let edits = [1, 1, 2, 5, 40][this.#below(5)] ?? 1; edits > 0; edits--) {
      const at = this.#below(after.length + 1);
      const kind = this.#below(6);
      if (kind === 0) after.splice(at, 1 + this.#below(3));
      else if (kind === 1) after.splice(at, 0, ...this.#lines(1 + this.#below(4)));
      else if (kind === 2) after.splice(at, 1 + this.#below(2), ...this.#lines(1));
      else if (kind === 3)
        after.splice(this.#below(after.length + 1), 0, ...after.slice(at, at + 1 + this.#below(9)));
      else if (kind === 4) after.splice(at, 0, ...after.slice(at, at + 1 + this.#below(9)));
      else {
        const moved = after.splice(at, 1 + this.#below(30));
        after.splice(this.#below(after.length + 1), 0, ...moved);
      }
    }
    return after;
  }

  #lines(count: number): string[] {
    return Array.from({ length: count }, () => {
      const word = this.#below(this.#words);
      const indent = ['', '', '  ', '\t', '    ', ' \t'][(word * 7) % 6] ?? '';
      if (word % 5 === 0) return word % 2 === 0 ? '' : indent;
      if (this.#below(300) === 0) return '\0';
      // git measures indents up to 200.
      if (this.#below(20) === 0) return ' '.repeat(198 + this.#below(4)) + (word % 2 === 0 ? '' : 'x');
      const tail = ['', '\r', ' {', ` caf\u00e9 `, ' \u00c3\u00a9', ` ${'long '.repeat(20)}`][word % 6] ?? '';
      return `${indent}${word % 3 === 0 ? '$' : ''}f${word}${tail}`;
    });
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}
