import { until } from '#testkit/until';

/** Knows from a Praefect's log which replication jobs are still to be done. */
export class ReplicationWatch {
  #queued = 0;
  #ended = 0;

  /** Receives the decoded lines of the log. */
  readonly line = (line: Record<string, unknown>): void => {
    if (line.msg === 'queueing replication jobs')
      this.#queued += ((line['replication.outdated'] ?? []) as []).length;
    if (line.msg === 'replication job is already queued') this.#queued--;
    if (line.msg === 'replication job processing finished' && line.new_state !== 'failed') this.#ended++;
  };

  /** Waits until all jobs are done, or were given up after their third attempt. */
  async settled(): Promise<void> {
    await until(() => this.#ended >= this.#queued, 'the replication jobs are done');
  }
}
