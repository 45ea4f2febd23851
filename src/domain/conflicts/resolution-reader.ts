import { GitalyError, invalidArgument } from '#base/gitaly-error';
import type { JsonToken } from '#base/go/encoding/json-scanner';

/** A user's resolution of the conflicts of a file. */
export interface Resolution {
  /** Path on our side. */
  readonly oldPath: string;
  /** Path in the merge. */
  readonly newPath: string;
  /**
   * Side (`head` for ours, `origin` for theirs) by the id of a conflict. When it is empty,
   * `content` is the whole file.
   */
  readonly sections: ReadonlyMap<string, string>;
  readonly content: string;
}

const NO_SECTIONS: Resolution['sections'] = new Map();
const NOTHING: Resolution = { oldPath: '', newPath: '', sections: NO_SECTIONS, content: '' };
/** A `Map`, because a client may choose the name of an object's built-in property as a key. */
const TEXT_FIELDS: ReadonlyMap<string, 'oldPath' | 'newPath' | 'content'> = new Map([
  ['old_path', 'oldPath'],
  ['new_path', 'newPath'],
  ['content', 'content'],
]);
/** Number of objects and arrays around the parts of a list of resolutions. */
const DEPTH = { list: 0, item: 1, field: 2, section: 3 };

/**
 * Makes resolutions of the tokens of `[{old_path, new_path, sections: {id: side}, content}]`, as
 * Go's decoder does: keys in any case, and `null` for an absent value.
 */
export class ResolutionReader {
  readonly #resolutions: Resolution[] = [];
  /** The object that is being read. */
  #current: Resolution = NOTHING;
  #hasWork = false;
  #key = '';
  #sections: Map<string, string> | undefined;
  #id = '';
  // The first value of a wrong kind. Gitaly reads a list of objects first, and their fields later.
  #wrongItem: GitalyError | undefined;
  #isIncomplete = false;
  #wrongField: GitalyError | undefined;

  /** Reports whether texts at this depth are ignored. */
  ignores(depth: number): boolean {
    return depth > DEPTH.section || (depth === DEPTH.section && this.#sections === undefined);
  }

  /**
   * @param depth number of objects and arrays around the token.
   * @param text that of a key or string.
   */
  read(token: JsonToken, depth: number, text: string): void {
    if (token === 'end') this.#end(depth);
    else if (this.ignores(depth)) return;
    else if (token === 'key') this.#readKey(depth, text);
    else if (depth === DEPTH.list) this.#readList(token);
    else if (depth === DEPTH.item) this.#readItem(token);
    else if (depth === DEPTH.field) this.#readField(token, text);
    else this.#readSection(token, text);
  }

  /**
   * Returns the resolutions when all tokens were read.
   *
   * @throws {GitalyError} INTERNAL with Go's text for a value of a wrong kind; INVALID_ARGUMENT
   *   `missing sections or content for a resolution`.
   */
  result(): Resolution[] {
    if (this.#wrongItem !== undefined) throw this.#wrongItem;
    if (this.#isIncomplete) throw invalidArgument('missing sections or content for a resolution');
    if (this.#wrongField !== undefined) throw this.#wrongField;
    return this.#resolutions;
  }

  #readKey(depth: number, text: string): void {
    if (depth === DEPTH.section) {
      this.#id = text;
    } else {
      this.#key = text.toLowerCase();
      this.#hasWork ||= text === 'sections' || text === 'content';
    }
  }

  #readList(token: JsonToken): void {
    if (token !== 'array' && token !== 'null')
      this.#wrongItem = mismatch(token, 'value of type []map[string]interface {}');
  }

  #readItem(token: JsonToken): void {
    this.#current = NOTHING;
    this.#hasWork = false;
    if (token === 'null') this.#endItem();
    else if (token !== 'object') this.#wrongItem ??= mismatch(token, 'value of type map[string]interface {}');
  }

  #readField(token: JsonToken, text: string): void {
    const field = TEXT_FIELDS.get(this.#key);
    if (token === 'null') return;
    if (this.#key === 'sections') {
      if (token === 'object') this.#sections = new Map();
      else this.#wrongField ??= mismatch(token, `${SECTIONS} map[string]string`);
    } else if (field !== undefined) {
      if (token === 'string') this.#current = { ...this.#current, [field]: text };
      else this.#wrongField ??= mismatch(token, `struct field Resolution.${this.#key} of type string`);
    }
  }

  #readSection(token: JsonToken, text: string): void {
    if (token === 'string' || token === 'null') this.#sections?.set(this.#id, text);
    else this.#wrongField ??= mismatch(token, `${SECTIONS} string`);
  }

  /** @param depth that of the object or array that ends. */
  #end(depth: number): void {
    if (depth === DEPTH.item) this.#endItem();
    if (depth !== DEPTH.field || this.#sections === undefined) return;
    this.#current = { ...this.#current, sections: this.#sections };
    this.#sections = undefined;
  }

  #endItem(): void {
    this.#isIncomplete ||= !this.#hasWork;
    this.#resolutions.push(this.#current);
  }
}

const SECTIONS = 'struct field Resolution.sections of type';

function mismatch(token: JsonToken, target: string): GitalyError {
  return new GitalyError('INTERNAL', `json: cannot unmarshal ${token} into Go ${target}`);
}
