import type { IncomingHttpHeaders } from 'node:http';
import type { Static, TObject, TProperties, TSchema } from 'typebox';
import type { CallOptions } from '#client/call/call-types';
import type { Connection } from '#client/connection';
import type { Repository } from '#client/repository/index';
import type { Place } from '#client/repository/place';
import type { RepositoryPath } from '#gateway/repository-path';
import type { ObjectStore } from '#object-store/object-store';
import type { BytesSchema } from './schemas/parts.ts';

/**
 * The right that an operation needs at its repository: those of git, `create` of a new repository
 * and `admin`. `none`: the operation has no repository, and shows only what its user may read.
 */
export type RequiredRight = 'none' | 'read' | 'write' | 'create' | 'admin';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface ListPage {
  readonly items: readonly unknown[];
  /** Where the next page begins; `undefined` at the end of the list. */
  readonly next?: string | undefined;
}

/** The result of an operation. */
export type Reply =
  | { readonly json: unknown; readonly status?: 200 | 201; readonly headers?: Headers }
  | {
      /** Returns a page. @param after `next` of the page before. */
      readonly page: (after: string | undefined, limit: number) => Promise<ListPage>;
      /** The whole list, if reading it at once is cheaper than in pages. */
      readonly all?: () => AsyncIterable<unknown>;
    }
  | {
      readonly status: number;
      readonly headers: Headers;
      readonly stream: AsyncIterable<Uint8Array> | undefined;
    }
  | { readonly status: 204 };

type Headers = Readonly<Record<string, string>>;

/** The values of a request that a schema describes. Bytes are a `Buffer`. */
type Values<S extends TProperties> = {
  [N in keyof Static<TObject<S>>]: S[N & keyof S] extends BytesSchema
    ? Buffer | (undefined extends Static<TObject<S>>[N] ? undefined : never)
    : Static<TObject<S>>[N];
};

/** The repositories that the user of a request may use besides that of the address. */
export interface OtherRepositories {
  /**
   * Returns one that the user may create, and the options of calls for them.
   *
   * @param moved path of the repository that will have the new path.
   * @throws {Problem} also if it would hide another one.
   */
  toCreate(path: string, moved?: RepositoryPath): Promise<OtherRepository>;
  /** Returns the paths of all repositories in order. */
  paths(options: CallOptions): Promise<readonly string[]>;
  /** Reports whether the user may read a repository. @throws {Refusal} for wrong credentials. */
  mayRead(relativePath: string): Promise<boolean>;
}

export interface OtherRepository {
  readonly path: RepositoryPath;
  readonly repository: Repository;
  readonly options: CallOptions;
}

/** A checked request of an operation. */
export interface ApiCall<P extends TProperties, Q extends TProperties, B extends TSchema> {
  readonly parameters: Values<P>;
  readonly query: Values<Q>;
  readonly body: Static<B>;
  readonly headers: IncomingHttpHeaders;
  /** True if only the headers of the answer are sent: nobody reads its stream. */
  readonly isHead: boolean;
  /** Bytes of patches that the caller can use. */
  readonly maxPatchBytes: number;
  /** Bytes of a request whose body is not JSON. */
  readonly content: AsyncIterable<Uint8Array>;
  readonly connection: Connection;
  readonly storage: string;
  /** The files of Git LFS, if the gateway serves them. */
  readonly lfs: ObjectStore | undefined;
  /** That of the address, for its user. */
  readonly repository: Repository;
  /** The same one, for calls that `Repository` does not have. */
  readonly place: Place;
  readonly path: RepositoryPath;
  readonly others: OtherRepositories;
  /** Identity and rules of the user, the end of the request and a time limit. */
  readonly options: CallOptions & { readonly signal: AbortSignal };
}

/** How clients see the answer. */
export type AnswerShape =
  | { readonly kind: 'json'; readonly status: 200 | 201; readonly schema: TSchema }
  | { readonly kind: 'list'; readonly schema: TSchema }
  | { readonly kind: 'bytes'; readonly type: string }
  | { readonly kind: 'nothing' };

/** A row of the table: an operation with all that its route, checks and documents are made of. */
export interface ApiOperation {
  /** Name in OpenAPI: `readCommit`. */
  readonly id: string;
  readonly method: Method;
  /**
   * Path below the API's, with parameters in braces. The last parameter may contain slashes, those
   * before it only as `%2F`.
   */
  readonly path: string;
  /** A sentence without its final point. */
  readonly summary: string;
  readonly description?: string;
  /** Name as a tool of the Model Context Protocol. Default: it is none. */
  readonly tool?: string;
  readonly right: RequiredRight;
  /** Parameters of the path besides `repository`. */
  readonly parameters: TProperties;
  readonly query: TProperties;
  /** JSON of the request; `bytes` for a body of any kind. */
  readonly body: TSchema | 'bytes' | undefined;
  readonly answer: AnswerShape;
  readonly example: OperationExample;
  readonly serve: (call: ApiCall<TProperties, TProperties, TSchema>) => Promise<Reply>;
}

/** Values of the example of an operation; the repository is `team/app`. */
export interface OperationExample {
  readonly parameters?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object | string;
}

interface Row<P extends TProperties, Q extends TProperties, B extends TSchema>
  extends Omit<ApiOperation, 'body' | 'example' | 'parameters' | 'query' | 'serve'> {
  readonly parameters?: P;
  readonly query?: Q;
  readonly body?: B | 'bytes';
  readonly example?: OperationExample;
  readonly serve: (call: ApiCall<P, Q, B>) => Promise<Reply>;
}

type NoValues = Readonly<Record<never, TSchema>>;

/** Returns a row whose function gets the values that its schemas describe. */
export function operation<
  P extends TProperties = NoValues,
  Q extends TProperties = NoValues,
  B extends TSchema = TSchema,
>(row: Row<P, Q, B>): ApiOperation {
  return {
    ...row,
    parameters: row.parameters ?? {},
    query: row.query ?? {},
    body: row.body,
    example: row.example ?? {},
    // Requests are checked by the schemas of the row before it is called.
    serve: row.serve as unknown as ApiOperation['serve'],
  };
}
