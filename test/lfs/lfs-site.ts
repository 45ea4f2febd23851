import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fileAuthentication, type HttpGateway, startHttpGateway, storageMapping } from '#gateway/index';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const TYPE = 'application/vnd.git-lfs+json';

/** A response of the server, whose body is JSON or bytes. */
export interface LfsResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: the tests read fields of many responses
  readonly json: any;
}

/** A gateway with Git LFS, and with `ann`, who may write below `team`, and `bob`, who may read there. */
export class LfsSite implements AsyncDisposable {
  readonly gitaly: TestGitaly;
  readonly gateway: HttpGateway;
  readonly directory: string;
  /** URL of the store. */
  readonly storeUrl: string;

  private constructor(
    gitaly: TestGitaly,
    gateway: HttpGateway,
    place: Pick<LfsSite, 'directory' | 'storeUrl'>,
  ) {
    this.gitaly = gitaly;
    this.gateway = gateway;
    this.directory = place.directory;
    this.storeUrl = place.storeUrl;
  }

  /** Starts it. @param given of the store; default: a directory. */
  static async open(given?: string, config: Readonly<Record<string, unknown>> = {}): Promise<LfsSite> {
    const directory = makeScratchDirectory('lfs');
    const url = given ?? pathToFileURL(join(directory, 'store')).href;
    const gitaly = await startGitaly({ config: { lfs: { url }, ...config } });
    const users = ['ann write', 'bob read'].map((line) => {
      const [name = '', right = ''] = line.split(' ');
      const digest = createHash('sha256').update(`token of ${name}`).digest('hex');
      return `${name} ${right} sha256:${digest} team\n`;
    });
    writeFileSync(join(directory, 'users'), users.join(''));
    const gateway = await startHttpGateway({
      gitaly: { address: gitaly.address },
      listen: { host: '127.0.0.1', port: 0 },
      mapping: storageMapping('default'),
      createOnPush: {},
      authenticator: await fileAuthentication({ path: join(directory, 'users') }),
      lfs: { url },
      api: { storage: 'default' },
    });
    return new LfsSite(gitaly, gateway, { directory, storeUrl: url });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway.close();
    await this.gitaly[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true });
  }

  /** Sends a request. @param user undefined for nobody. */
  async send(
    method: string,
    address: string,
    {
      body,
      headers,
      user = 'ann',
    }: { body?: Buffer | string; headers?: Record<string, string>; user?: string | null } = {},
  ): Promise<LfsResponse> {
    const url = address.startsWith('http') ? address : `${this.gateway.url}/team/a.git/info/lfs/${address}`;
    const login = user === null ? {} : { authorization: `Basic ${btoa(`${user}:token of ${user}`)}` };
    const response = await fetch(url, {
      method,
      ...(body !== undefined && { body, duplex: 'half' }),
      headers: { accept: TYPE, 'content-type': TYPE, ...login, ...headers },
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const isJson = response.headers.get('content-type') === TYPE;
    return {
      ...{ status: response.status, headers: response.headers, bytes },
      json: isJson ? JSON.parse(bytes.toString()) : null,
    };
  }

  /** Sends a batch. */
  async batch(operation: string, objects: unknown, user: string | null = 'ann'): Promise<LfsResponse> {
    return await this.send('POST', 'objects/batch', { body: JSON.stringify({ operation, objects }), user });
  }

  /** Reads a file of a repository. */
  async read(content: Buffer, path: string): Promise<LfsResponse> {
    return await this.send('GET', `${this.gateway.url}/${path}/info/lfs/objects/${pointerTo(content).oid}`);
  }

  /** Stores a file as git-lfs does. @returns its name and size. */
  async store(content: Buffer, path = 'team/a.git'): Promise<{ oid: string; size: number }> {
    const pointer = pointerTo(content);
    const body = JSON.stringify({ operation: 'upload', objects: [pointer] });
    const { json } = await this.send('POST', `${this.gateway.url}/${path}/info/lfs/objects/batch`, { body });
    const { header, href } = json.objects[0].actions.upload;
    if (href.startsWith(this.gateway.url)) await this.send('PUT', href, { body: content });
    else await fetch(href, { method: 'PUT', headers: header, body: new Uint8Array(content) });
    const verified = await this.send('POST', json.objects[0].actions.verify.href, {
      body: JSON.stringify(pointer),
    });
    if (verified.status !== 200) throw new Error(`the file was not stored: ${verified.status}`);
    return pointer;
  }
}

/** Returns the text of a pointer. */
export function pointerText({ oid, size }: { oid: string; size: number }): string {
  return `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${size}\n`;
}

export function pointerTo(content: Buffer): { oid: string; size: number } {
  return { oid: createHash('sha256').update(content).digest('hex'), size: content.length };
}
