/**
 * Gateways for plain git in front of a Gitaly: `import { startHttpGateway, startSshGateway } from
 * 'gitaly-ts/gateway'`.
 */

export { issueToken, type TokenRequest } from '#tokens/issue';
export type { PushRules } from '#tokens/push-rules';
export type { ReferenceRule } from '#tokens/reference-rules';
export { type Access, parseScope, type TokenScope } from '#tokens/scope';
export { TokenStore } from '#tokens/token-store';
export {
  type ForeignIssuer,
  type TokenOwner,
  TokenVerifier,
  type TokenVerifierOptions,
} from '#tokens/token-verifier';
export type {
  AccessObserver,
  AccessOperation,
  AccessOutcome,
  AccessRecord,
  PushedReference,
} from './access/access-record.ts';
export type { CreateOnPushOptions } from './create-on-push.ts';
export type { GitalyAddress } from './gitaly-link.ts';
export type { Answer } from './http/answer.ts';
export { AuthFileError, formatAuthLine } from './http/auth/auth-file.ts';
export {
  type CallbackAuthenticationOptions,
  callbackAuthentication,
} from './http/auth/callback-authentication.ts';
export { type FileAuthenticationOptions, fileAuthentication } from './http/auth/file-authentication.ts';
export { createToken, hashPassword } from './http/auth/password-hash.ts';
export {
  type ScopedTokenOptions,
  scopedTokenAuthentication,
} from './http/auth/scoped-token-authentication.ts';
export { tokenAuthentication } from './http/auth/token-authentication.ts';
export {
  type AccessClient,
  type AccessRequest,
  type Admission,
  type Authenticator,
  noAuthentication,
  type RefusedRequest,
} from './http/authentication.ts';
export type { BundleOptions } from './http/bundles/bundle-source.ts';
export { type HttpGateway, type HttpGatewayOptions, startHttpGateway } from './http/http-gateway.ts';
export type { LfsStoreOptions } from './http/lfs/lfs-store.ts';
export { DEFAULT_HTTP_LIMITS, type HttpLimits } from './http/limits/http-limits.ts';
export {
  type AccountFacts,
  type AccountKey,
  type AccountToken,
  type ClientCalls,
  PAGES_PATH,
  type PageAccess,
  type PageAnswer,
  type PageRequest,
  type PageSource,
} from './http/pages/page-source.ts';
export type { TlsFiles } from './http/tls-server.ts';
export type { Credential, Identity } from './identity.ts';
export { type RepositoryInit, type RepositoryMapping, storageMapping } from './repository-mapping.ts';
export type { RepositoryPath } from './repository-path.ts';
export type { Right } from './rights.ts';
export type { SshAccess, SshAccessRequest, SshLogin } from './ssh/authentication.ts';
export type { UnusedLine } from './ssh/keys/authorized-keys.ts';
export {
  type AuthorizedKeys,
  type AuthorizedKeysOptions,
  authorizedKeysFile,
} from './ssh/keys/authorized-keys-file.ts';
export type { PublicKey } from './ssh/keys/public-key.ts';
export type { PeopleCommand, PeopleCommands } from './ssh/people-commands.ts';
export type { SshCipher } from './ssh/ssh-ciphers.ts';
export { type SshGateway, type SshGatewayOptions, startSshGateway } from './ssh/ssh-gateway.ts';
export type { SshLimits } from './ssh/ssh-limits.ts';
