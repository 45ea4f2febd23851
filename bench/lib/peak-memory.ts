import { treeMemoryMb } from './process-tree.ts';
import type { ServerProcess } from './server-process.ts';

const EVERY_MS = 100;

interface Watched {
  readonly name: string;
  readonly server: ServerProcess;
}

/** Watches the resident memory of servers with all their processes, by phase. */
export class PeakMemory implements Disposable {
  readonly #servers: readonly Watched[];
  /** Megabytes of each server, by phase. */
  readonly #peaks = new Map<string, number[]>();
  readonly #timer: NodeJS.Timeout;
  #current: number[] = [];

  constructor(servers: readonly Watched[]) {
    this.#servers = servers;
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
  }

  /** Begins a phase. */
  begin(phase: string): void {
    this.#current = this.#servers.map(() => 0);
    this.#peaks.set(phase, this.#current);
  }

  /** Prints the peaks of all phases and of the whole, and the memory at this moment. */
  print(): void {
    const now = this.#now();
    const names = this.#servers.map(({ name }) => name);
    console.log(`\n| resident memory, MB | ${names.join(' | ')} |\n| --- |${' --- |'.repeat(names.length)}`);
    const line = (name: string, figures: readonly number[]): void =>
      console.log(`| ${name} | ${figures.map((mb) => mb.toFixed(0)).join(' | ')} |`);
    for (const [phase, peaks] of this.#peaks) line(phase, peaks);
    const all = [...this.#peaks.values()];
    line(
      'the whole run',
      names.map((_, index) => Math.max(...all.map((peaks) => peaks[index] ?? 0))),
    );
    line('at the end', now);
  }

  #now(): number[] {
    return this.#servers.map(({ server }) => treeMemoryMb(server.pid));
  }

  #look(): void {
    for (const [index, mb] of this.#now().entries())
      this.#current[index] = Math.max(this.#current[index] ?? 0, mb);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
