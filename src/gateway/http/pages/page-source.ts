import type { IncomingHttpHeaders } from 'node:http';
import type { Credential } from '#gateway/identity';
import type { OwnSecret } from '#gateway/people/own-secrets';
import type { MetadataInit } from '#rpc/common/metadata';

export { LLMS_PATH } from '../api/api-path.ts';

/** Address below which a gateway serves pages for people. */
export const PAGES_PATH = '/-/console';

export function pageOfRepository(path: string): string {
  return `${PAGES_PATH}/repository/${path.split('/').map(encodeURIComponent).join('/')}`;
}

/** Pages for people, which a gateway serves in addition to git. */
export interface PageSource {
  /**
   * Returns the response to a request whose path is {@link PAGES_PATH} or below it.
   *
   * @throws the errors of calls to Gitaly.
   */
  answer(request: PageRequest): Promise<PageAnswer>;
  /** Ends the streams of responses: the gateway closes. */
  endStreams?(): void;
}

/** A request for a page. */
export interface PageRequest {
  readonly method: string;
  /** Path and query, as the client sent them. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  /** Fields of a form that is posted; empty for other methods. */
  readonly body: Uint8Array;
  /** Scheme used by the client, also behind trusted proxies. */
  readonly scheme: 'http' | 'https';
  /** Address of the client, also behind trusted proxies. */
  readonly remoteAddress: string | undefined;
  /** Aborts when the client disconnects and when the request takes too long. */
  readonly signal: AbortSignal;
  readonly access: PageAccess;
  /** Address of the description of the gateway's API; `undefined` without it. */
  readonly apiAddress: string | undefined;
}

/** The rights of a client, which are those for git. */
export interface PageAccess {
  /** True without authentication: everybody may read everything. */
  readonly isOpen: boolean;
  /** True if the client sent credentials, right or wrong. */
  readonly hasCredentials: boolean;
  /**
   * Returns the refusal to read a repository; `undefined` if the client may read it.
   *
   * @param path in the storage, not checked. @throws as the authenticator.
   */
  refusalAt(path: string): Promise<PageAnswer | undefined>;
  /**
   * Reports whether clients without credentials may read some repository; `undefined` if only the
   * repositories show that.
   */
  readsWithoutCredentials(): Promise<boolean | undefined>;
  /** Reports whether the client may see and end the calls of all users. @throws as the authenticator. */
  isAdministrator(): Promise<boolean>;
  /** Reports whether the client may push to a repository. @throws as the authenticator. */
  mayWriteAt(path: string): Promise<boolean>;
  /**
   * Returns the options of calls that change the settings of a repository in the client's name;
   * `undefined` if the client may not change them. @throws as the authenticator.
   */
  administrationAt(path: string): Promise<ClientCalls | undefined>;
  /**
   * Returns what the client may know about itself; `undefined` for wrong credentials. Without this
   * function there is no page about it.
   */
  account?(): Promise<AccountFacts | undefined>;
  /**
   * Removes a key or a token of the client itself. @returns false if it has none that it may
   * remove. @throws {GitalyError} FAILED_PRECONDITION when the file cannot be changed.
   */
  removeOwn?(secret: OwnSecret): Promise<boolean>;
  /**
   * Returns those of some files of Git LFS, by their SHA-256, that the server has for a repository.
   * Without this function it serves none.
   */
  lfsFilesAt?(path: string, oids: readonly string[]): Promise<ReadonlySet<string>>;
  /**
   * Finds the person whose SSH key has signed a commit. Without this function the keys of people
   * are not known.
   */
  checkSignature?(signed: SignedText): Promise<SignatureCheck>;
  /** The response that requests credentials. */
  readonly signIn: PageAnswer;
}

/** The user of a client, without secrets. */
export interface AccountFacts {
  readonly name: string;
  /** How the client has logged in. */
  readonly credential: Credential;
  /** Rights in words, such as `write team`. */
  readonly rights: readonly string[];
  readonly keys: readonly AccountKey[];
  readonly tokens: readonly AccountToken[];
}

/** A text, and its signature as a commit has it. */
export interface SignedText {
  readonly signature: Buffer;
  readonly text: Buffer;
}

/** The person who has signed, or why that is not known. */
export type SignatureCheck = { readonly name: string } | { readonly problem: string };

/** An SSH key. */
export interface AccountKey {
  readonly name: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
  /** Rights of the key, in words. */
  readonly scope: string;
  /** True if the user may remove it here. */
  readonly isRemovable: boolean;
}

/** A token that is accepted. */
export interface AccountToken {
  /** The id or name. */
  readonly name: string;
  /** Rights of the token, in words. */
  readonly scope: string;
  /** Its end in seconds since 1970; `undefined`: it has none, or none that is known. */
  readonly expiresAt: number | undefined;
  /** True if the user may revoke it here. */
  readonly isRemovable: boolean;
}

/** Options of calls in the name of a client, whom hooks and events then know. */
export interface ClientCalls {
  readonly metadata: MetadataInit;
}

/** A change that a user has made on a page, for the access log. */
export interface PageChange extends Pick<AccountFacts, 'credential' | 'name'> {
  /** Such as `removed key laptop`. */
  readonly text: string;
}

/** A response. */
export interface PageAnswer {
  readonly status: number;
  readonly change?: PageChange;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
  /** Bytes or text instead of `body`, until the client disconnects. Their length may be unknown. */
  readonly stream?: AsyncIterable<Uint8Array | string>;
}
