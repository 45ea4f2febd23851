import { type HttpRequest, type HttpResponse, readText, type StoreConnections } from '../http-request.ts';
import type { StoreOperation } from '../observed-store.ts';
import { type NoteRetry, waitBeforeRetry } from '../retry.ts';
import { StoreError } from '../store-error.ts';
import type { GcsAuth } from './gcs-auth.ts';
import {
  type GcsProblem,
  gcsError,
  problemOfConnection,
  problemOfCredentials,
  problemOfResponse,
} from './gcs-errors.ts';

/** Attempts of a request, with growing random delays between them. */
const MAX_ATTEMPTS = 5;

/** The purpose of a request, for its error. */
export interface GcsCall {
  readonly operation: StoreOperation;
  readonly key: string;
  readonly signal: AbortSignal;
}

export interface GcsRequest<T> extends Omit<HttpRequest, 'headers'> {
  readonly headers?: Readonly<Record<string, string>>;
  /** Statuses of success, besides 200 to 299. */
  readonly accepts?: readonly number[];
  /** Reads the response. It is called again if the connection breaks. */
  readonly read: (response: HttpResponse) => Promise<T> | T;
}

/**
 * Sends requests to the JSON API of Google Cloud Storage, and repeats those that may succeed later.
 */
export class GcsClient {
  readonly #connections: StoreConnections;
  readonly #auth: GcsAuth;
  readonly #store: string;
  readonly #onRetry: NoteRetry;

  constructor(
    connections: StoreConnections,
    auth: GcsAuth,
    { bucket, onRetry }: { readonly bucket: string; readonly onRetry: NoteRetry },
  ) {
    this.#connections = connections;
    this.#auth = auth;
    this.#onRetry = onRetry;
    this.#store = `gs bucket ${JSON.stringify(bucket)}`;
  }

  /** @throws {StoreError} */
  async send<T>(request: GcsRequest<T>, call: GcsCall): Promise<T> {
    let isRenewed = false;
    for (let failures = 1; ; failures++) {
      call.signal.throwIfAborted();
      const { result, problem } = await this.#attempt(request, call);
      if (problem === undefined) return result;
      const renews: boolean = problem.status === 401 && !isRenewed && this.#auth.renew();
      if (!renews && (!problem.isTransient || failures >= MAX_ATTEMPTS)) throw this.error(problem, call);
      isRenewed ||= renews;
      this.#onRetry(call.operation);
      if (!renews) await waitBeforeRetry(failures - 1, call.signal);
    }
  }

  /** Returns the account that signs URLs; `undefined` if there is none. */
  async signer(call: GcsCall): ReturnType<GcsAuth['signer']> {
    try {
      return await this.#auth.signer(call.signal);
    } catch (error) {
      call.signal.throwIfAborted();
      throw this.error(problemOfCredentials(error), call);
    }
  }

  error(problem: GcsProblem, { operation, key }: GcsCall): StoreError {
    return gcsError(problem, { store: this.#store, operation, key });
  }

  async #attempt<T>(
    { headers = {}, accepts = [], read, ...request }: GcsRequest<T>,
    call: GcsCall,
  ): Promise<{ result: T; problem?: undefined } | { result?: undefined; problem: GcsProblem }> {
    const authorization = await this.#headers(call);
    try {
      const sent = { ...request, headers: { ...headers, ...authorization } };
      const response = await this.#connections.send(sent, call.signal);
      const isSuccess =
        (response.status >= 200 && response.status < 300) || accepts.includes(response.status);
      if (isSuccess) return { result: await read(response) };
      return { problem: problemOfResponse(response.status, await readText(response)) };
    } catch (error) {
      call.signal.throwIfAborted();
      if (error instanceof StoreError) throw error;
      return { problem: problemOfConnection(error) };
    }
  }

  async #headers(call: GcsCall): Promise<Record<string, string>> {
    try {
      return await this.#auth.headers(call.signal);
    } catch (error) {
      call.signal.throwIfAborted();
      throw this.error(problemOfCredentials(error), call);
    }
  }
}

/** Reads a response without using its body, so that its connection can be used again. */
export async function drained({ body }: HttpResponse): Promise<void> {
  body.on('error', () => {}); // the status is all that counts
  body.resume();
}
