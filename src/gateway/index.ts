/** Doors for plain git in front of a Gitaly: `import { openHttpDoor } from 'gitaly-ts/gateway'`. */

export type { Answer } from './http/answer.ts';
export { type AccessRequest, type Authenticator, type Identity, noAuthentication } from './http/authentication.ts';
export type { CreateOnPushOptions } from './http/create-on-push.ts';
export type { GitalyAddress } from './http/gitaly-link.ts';
export { type HttpDoor, type HttpDoorOptions, type HttpLimits, openHttpDoor } from './http/http-door.ts';
export { type RepositoryInit, type RepositoryMapping, storageMapping } from './http/repository-mapping.ts';
export type { RepositoryPath } from './http/repository-path.ts';
