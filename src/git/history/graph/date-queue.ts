/**
 * A queue that returns the newest item first; of several with the same date the first one inserted.
 * A binary heap.
 */
export class DateQueue<T> {
  readonly #heap: { readonly item: T; readonly seconds: number; readonly order: number }[] = [];
  #pushed = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** Date of the item that {@link pop} returns next; `undefined` if there is none. */
  get newest(): number | undefined {
    return this.#heap[0]?.seconds;
  }

  push(item: T, seconds: number): void {
    let at = this.#heap.push({ item, seconds, order: this.#pushed++ }) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.#isBefore(at, above)) return;
      this.#swap(at, above);
      at = above;
    }
  }

  pop(): T | undefined {
    const [first] = this.#heap;
    const last = this.#heap.pop();
    if (first === undefined || last === undefined || this.#heap.length === 0) return first?.item;
    this.#heap[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const below = left + 1 < this.#heap.length && this.#isBefore(left + 1, left) ? left + 1 : left;
      if (below >= this.#heap.length || !this.#isBefore(below, at)) return first.item;
      this.#swap(at, below);
      at = below;
    }
  }

  #isBefore(left: number, right: number): boolean {
    const [a, b] = [this.#heap[left], this.#heap[right]];
    if (a === undefined || b === undefined) return false;
    return a.seconds === b.seconds ? a.order < b.order : a.seconds > b.seconds;
  }

  #swap(left: number, right: number): void {
    const [a, b] = [this.#heap[left], this.#heap[right]];
    if (a === undefined || b === undefined) return;
    this.#heap[left] = b;
    this.#heap[right] = a;
  }
}
