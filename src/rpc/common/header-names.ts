/**
 * Names of all metadata keys that Gitaly's clients and servers exchange. Keys are lower-case on the
 * wire.
 * @see Gitaly: server spec 3.5, transport spec.
 */

/** `Bearer v2.<hmac>.<unix seconds>`. */
export const AUTHORIZATION = 'authorization';
export const CORRELATION_ID = 'x-gitlab-correlation-id';
export const CLIENT_NAME = 'x-gitlab-client-name';
/** Older spelling of the client name. */
export const CLIENT_NAME_OLD = 'client_name';
export const CALL_SITE = 'call_site';
/** `regular`, `limited`, `none` or `unknown`. */
export const DEADLINE_TYPE = 'deadline_type';
export const REMOTE_IP = 'remote_ip';
export const USER_ID = 'user_id';
export const USERNAME = 'username';
/** JSON: the user whose request a gateway forwards, and the credential; see `call-user.ts`. */
export const CALL_USER = 'x-gitaly-user-bin';
/** Number of the caller's SSH key, and its type, `key` or `deploy_key`. */
export const KEY_ID = 'key_id';
export const KEY_TYPE = 'key_type';
/** Followed by the flag's name with dashes; value `true` or `false`. */
export const FEATURE_FLAG_PREFIX = 'gitaly-feature-';
/** Trailer: the cost of a response, a whole number. */
export const COST = 'x-gitaly-cost';
/** `true`: the call requests an explanation. */
export const EXPLAIN = 'x-gitaly-explain';
/** Trailer: the explanation, JSON. */
export const EXPLANATION = 'x-gitaly-explanation-bin';
/** `true`: the client wants references migrated although the server has no transactions. */
export const MIGRATE_REFERENCES = 'x-gitaly-migrate-references';
/** JSON: the rules of the token with which the client pushed through a gateway. */
export const REFERENCE_RULES = 'x-gitaly-reference-rules-bin';
/**
 * Added to the settings (`git_config_options`) of a push with {@link REFERENCE_RULES}. A server
 * that does not know the rules refuses the push, as every version of Gitaly does for a setting
 * without `=`. A server that knows them refuses this setting without the rules.
 */
export const REFERENCE_RULES_REQUIRED = 'x-gitaly-reference-rules';
/** Trailer: git's message about a mistake of the client in the git protocol. */
export const GIT_PROTOCOL_ERROR = 'x-gitaly-git-protocol-error';
/** `true`: the client wants a fork that borrows its objects from a pool. */
export const LINKED_FORK = 'x-gitaly-linked-fork';
/** `true`: ReplicateRepository copies a detached HEAD, at which Gitaly fails. */
export const DETACHED_HEAD = 'x-gitaly-detached-head';
/** Of WriteBackupID: the number of repositories that failed. The request has no field for it. */
export const FAILED_REPOSITORIES = 'x-gitaly-failed-repositories';
/** Opaque bytes that go back to the GitLab internal API. */
export const CLIENT_CONTEXT = 'gitaly-client-context-bin';
/** Decimal id; the last value is used. */
export const SIDECHANNEL_ID = 'gitaly-sidechannel-id';
/** Path of the Unix socket that a pack-objects hook listens on. */
export const SIDECHANNEL_SOCKET = 'gitaly-sidechannel-socket';
/** The transaction in which a mutator must vote. */
export const REFERENCE_TRANSACTION = 'gitaly-reference-transaction';

/**
 * Base64 of JSON with the address of each storage's server, for calls that need a repository of
 * another storage.
 */
export const GITALY_SERVERS = 'gitaly-servers';

/** gRPC's own headers. */
export const GRPC_STATUS = 'grpc-status';
export const GRPC_MESSAGE = 'grpc-message';
/** Base64 of a `google.rpc.Status`. */
export const GRPC_STATUS_DETAILS = 'grpc-status-details-bin';
export const GRPC_TIMEOUT = 'grpc-timeout';
export const GRPC_ENCODING = 'grpc-encoding';
export const GRPC_ACCEPT_ENCODING = 'grpc-accept-encoding';
