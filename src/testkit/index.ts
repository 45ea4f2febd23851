/** Starts a real server on a temporary directory in your tests. */
export { type InternalApi, startInternalApi } from './internal-api.ts';
export {
  type SidechannelHandler,
  type SidechannelServer,
  startSidechannelServer,
} from './sidechannel-server.ts';
export { type StartGitalyOptions, startGitaly, type TestGitaly } from './start-gitaly.ts';
