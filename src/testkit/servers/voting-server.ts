import { type Connection, dialSidechannel, SidechannelRegistry } from '#client/index';
import { acceptReverse } from '#rpc/server/connection/accept-reverse';
import { GrpcServer } from '#rpc/server/grpc-server';
import { serve } from '#rpc/server/handler';
import {
  VoteTransactionRequest_Phase as Phase,
  RefTransaction,
  VoteTransactionResponse_TransactionState as State,
} from '#wire/gen/transaction_pb';

const PEER = { transport: 'internal', address: 'voting', backchannelId: undefined } as const;

/** A received vote. */
export interface CastVote {
  readonly transactionId: bigint;
  readonly node: string;
  readonly phase: string;
  /** Hexadecimal. */
  readonly hash: string;
}

/**
 * Counts the votes of a cluster of one: a client whose connection carries votes back to it, as
 * Praefect's does.
 */
export interface VotingServer extends AsyncDisposable {
  /** Connection for calls that take part in the votes when they carry {@link metadata}. */
  readonly connection: Connection;
  readonly registry: SidechannelRegistry;
  /** Votes in order of arrival. */
  readonly votes: readonly CastVote[];
  /** Ids of transactions that a node stopped. */
  readonly stopped: readonly bigint[];
  /** Decides on each vote; by default every change is accepted. */
  decide: (vote: CastVote) => keyof typeof State | Promise<keyof typeof State>;
  /** Returns metadata for a call that must vote. */
  metadata(transaction?: { id?: number; node?: string; primary?: boolean }): Record<string, string>;
}

/** Connects to a server as the node that counts its votes. @param token the server's, if it has one */
export async function startVotingServer(
  address: string,
  { token }: { readonly token?: string } = {},
): Promise<VotingServer> {
  const votes: CastVote[] = [];
  const stopped: bigint[] = [];
  const registry = new SidechannelRegistry();
  const server = new GrpcServer({
    services: [
      serve(RefTransaction, {
        async voteTransaction({ transactionId, node, phase, referenceUpdatesHash }) {
          const vote = {
            transactionId,
            node,
            phase: Phase[phase],
            hash: Buffer.from(referenceUpdatesHash).toString('hex'),
          };
          votes.push(vote);
          return { state: State[await voting.decide(vote)] };
        },
        async stopTransaction({ transactionId }) {
          stopped.push(transactionId);
          return {};
        },
      }),
    ],
  });
  const connection = await dialSidechannel(address, registry, {
    ...(token !== undefined && { token }),
    onBackchannel: (stream) => void acceptReverse(stream, (duplex) => server.serveConnection(duplex, PEER)),
  });
  const voting: VotingServer = {
    connection,
    registry,
    votes,
    stopped,
    decide: () => 'COMMIT',
    metadata({ id = 1, node = 'gitaly-1', primary = true } = {}) {
      return {
        'gitaly-reference-transaction': Buffer.from(JSON.stringify({ id, node, primary })).toString('base64'),
      };
    },
    async [Symbol.asyncDispose]() {
      await connection.close();
      await server.shutdown({ graceMs: 0 });
    },
  };
  return voting;
}
