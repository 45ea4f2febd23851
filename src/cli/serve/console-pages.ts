import { dial } from '#client/index';
import type { Console, ConsoleOptions } from '#console/index';
import type { PageSource } from '#gateway/index';

/** The storage that the pages show, and its server. */
export interface ConsoleTarget {
  readonly address: string;
  readonly token?: string;
  readonly storage: string;
}

export interface ConsolePagesOptions
  extends Pick<
    ConsoleOptions,
    | 'cancel'
    | 'cluster'
    | 'history'
    | 'httpAddress'
    | 'lastWrites'
    | 'mirrors'
    | 'nodes'
    | 'scanner'
    | 'status'
  > {
  readonly target: ConsoleTarget;
  /** Returns the address of the SSH gateway once it is open. */
  readonly sshAddress?: () => string | undefined;
}

/** A console that loads its code and opens its connection for the first page. */
export class ConsolePages implements PageSource, AsyncDisposable {
  readonly #options: ConsolePagesOptions;
  readonly #resources = new AsyncDisposableStack();
  #opened: Promise<Console> | undefined;
  #console: Console | undefined;
  #isEnding = false;

  constructor(options: ConsolePagesOptions) {
    this.#options = options;
  }

  async answer(...[request]: Parameters<PageSource['answer']>): ReturnType<PageSource['answer']> {
    this.#opened ??= this.#open();
    const opened = await this.#opened;
    return await opened.answer(request);
  }

  endStreams(): void {
    this.#isEnding = true;
    this.#console?.endStreams();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened?.catch(() => {}); // the page has reported it
    await this.#resources.disposeAsync();
  }

  async #open(): Promise<Console> {
    const { sshAddress, target, ...server } = this.#options;
    const { address, storage, token } = target;
    const { Console } = await import('#console/index');
    const connection = await dial(address, {
      clientName: 'gitaly-console',
      ...(token !== undefined && { token }),
    });
    this.#resources.defer(() => connection.close());
    const ssh = sshAddress?.();
    this.#console = this.#resources.use(
      new Console({
        connection,
        storage,
        ...server,
        ...(ssh !== undefined && { sshAddress: ssh }),
      }),
    );
    if (this.#isEnding) this.#console.endStreams();
    return this.#console;
  }
}
