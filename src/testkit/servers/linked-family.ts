import { setImmediate as nextTurn } from 'node:timers/promises';
import { Desk } from '#workers/desk';
import type { Supervising, Working } from '#workers/family';
import type { FamilyWorker } from '#workers/family-server';
import { Link, type LinkMessage } from '#workers/link';
import { WorkersMonitoring } from '#workers/monitoring';

const none = async (): Promise<void> => {};

/** A worker of a {@link LinkedFamily}. */
export interface LinkedWorker extends Working {
  /**
   * Holds messages to the worker until the returned function is called. Without it, they arrive in
   * the next iteration of the event loop.
   */
  block(): () => void;
  /** Ends the worker as if its process had ended. */
  end(): void;
}

/** The processes of a server, all in this process: only the channels between them are in memory. */
export class LinkedFamily {
  readonly supervisor: Supervising;
  readonly #workers: FamilyWorker[] = [];

  constructor() {
    const desk = new Desk();
    const workers = (): readonly FamilyWorker[] => this.#workers;
    this.supervisor = {
      role: 'supervisor',
      share: () => 1 / (this.#workers.length + 1),
      desk,
      monitoring: new WorkersMonitoring(desk, workers),
      workers,
      serving: workers,
      sharing: { role: 'supervisor', handOver: () => false },
      follow: () => false,
      onStarted: () => {},
      drainOthers: none,
      endOthers: none,
    };
  }

  /** Starts a worker; the supervisor has registered what it answers. */
  start(): LinkedWorker {
    const number = this.#workers.length + 1;
    let blocked: Promise<void> | undefined;
    const deliver = async (to: Link, message: LinkMessage, wait: Promise<void> | undefined) => {
      const copy = structuredClone(message);
      await nextTurn();
      await wait;
      to.receive(copy, undefined);
    };
    const upper: Link = new Link((message) => {
      void deliver(lower, message, blocked);
      return true;
    }, number);
    const lower: Link = new Link((message) => {
      void deliver(upper, message, undefined);
      return true;
    });
    const worker: FamilyWorker = { number, link: upper };
    this.#workers.push(worker);
    this.supervisor.desk.serve(upper);
    return {
      role: 'worker',
      share: this.supervisor.share,
      sharing: { role: 'worker' },
      number,
      link: lower,
      onStarted: () => {},
      drainOthers: none,
      endOthers: none,
      block: () => {
        const { promise, resolve } = Promise.withResolvers<void>();
        blocked = promise;
        return () => {
          blocked = undefined;
          resolve();
        };
      },
      end: () => {
        this.#workers.splice(this.#workers.indexOf(worker), 1);
        upper.close();
        lower.close();
      },
    };
  }
}
