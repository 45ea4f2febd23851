import type { CallOptions, Connection } from '#client/index';
import { USER as JANE } from '#testkit/user';
import type { Revision } from './fixture.ts';

export interface CallSetting {
  readonly connection: Connection;
  /** Metadata of the transaction, and addresses of servers. */
  readonly options: CallOptions;
  readonly repository: {
    readonly storageName: string;
    readonly relativePath: string;
    readonly glRepository: string;
    readonly glProjectPath: string;
  };
  readonly ids: Readonly<Record<Revision, string>>;
  /** URL of an equal repository with one more branch. */
  readonly remoteUrl: string;
}

export interface VotingCall {
  /** The method, and in which situation. */
  readonly name: string;
  run(setting: CallSetting): Promise<unknown>;
}

/** The time zone is in the ids of commits. */
export const USER = { ...JANE, timezone: 'UTC' };
/** Fixed, so that ids are equal in each run. */
export const TIMESTAMP = { seconds: 1_700_000_000n };

export const bytes = (text: string): Buffer => Buffer.from(text);

/** Reads a stream of responses to its end. */
export async function drain(responses: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of responses);
}
