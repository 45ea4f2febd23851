/** Starts a real server on a temporary directory in your tests. */
export { type Fault, type FaultOptions, Faults } from './faults/faults.ts';
export { type FlagCombination, flagCombinations } from './flag-combinations.ts';
export type { Bytes, FileChange, Person } from './repositories/import-stream.ts';
export { type LfsObject, lfsPointer } from './repositories/lfs-pointer.ts';
export {
  HANG_UP,
  type InternalApi,
  type InternalApiCall,
  type InternalApiOptions,
  startInternalApi,
} from './servers/internal-api.ts';
export type { NewRepository, ServedRepositories } from './servers/served-repositories.ts';
export {
  type SidechannelHandler,
  type SidechannelServer,
  startSidechannelServer,
} from './servers/sidechannel-server.ts';
export { type CastVote, startVotingServer, type VotingServer } from './servers/voting-server.ts';
export type { StartGitalyOptions, TestGitaly } from './start-gitaly.ts';
export { type StartOptions, startGitaly } from './start-server.ts';
export {
  type NewCommit,
  type NewMerge,
  type NewTag,
  type RepositoryName,
  TestRepository,
} from './test-repository.ts';
