import type { Message } from '@bufbuild/protobuf';
import type { Logger } from '#platform/log/logger';
import type { HandlerContext } from '#rpc/server/handler';
import type { MethodInfo } from '#wire/method-info';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { FindLost } from '../repair/lost-replicas.ts';
import type { WritePauses } from '../replication/write-pauses.ts';
import type { Router } from '../routing/routes.ts';
import type { Transactions } from '../transactions/transactions.ts';
import type { ReachableNodes } from './reachable-nodes.ts';
import type { UnrecordedWrites } from './unrecorded-writes.ts';
import type { RecordWrite } from './write-finalizer.ts';
import type { WriteOrder } from './write-order.ts';

/** Notified of calls, for metrics. */
export interface CallObserver {
  countMethodType(operation: 'accessor' | 'mutator' | 'maintenance'): void;
  countRead(virtualStorage: string, storage: string): void;
  readonly transactions: { countVoters(virtualStorage: string, voters: number): void };
}

/** Parts that the plans of calls need. */
export interface CoordinatedCallOptions {
  readonly router: Router;
  readonly reachable: ReachableNodes;
  readonly transactions: Transactions;
  readonly pauses: Pick<WritePauses, 'write'>;
  readonly order: WriteOrder;
  readonly metrics: CallObserver;
  readonly logger: Logger;
  /** Finds replicas that a node has lost. `undefined` if they have no records that could be wrong. */
  readonly findLost?: FindLost | undefined;
  readonly unrecorded: Pick<UnrecordedWrites, 'whenRecorded'>;
  /** Runs after each write. */
  readonly recordWrite: RecordWrite;
}

/** A call whose first message is decoded. */
export interface Call {
  readonly method: MethodInfo;
  readonly request: Message;
  readonly context: HandlerContext;
}

export interface RepositoryCall extends Call {
  readonly repository: RepositoryKey;
}
