import { rmSync } from 'node:fs';
import { loadCLibrary } from '#base/c-library';

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 0o2000002;
const MSG_DONTWAIT = 0x40;
const MAX_MESSAGE_BYTES = 4096;

/** The socket at which systemd receives notifications. */
export interface NotifySocket extends Disposable {
  /** Returns all messages so far. */
  messages(): readonly string[];
}

/** Binds a datagram socket, which Node cannot. The path has less than 108 bytes. */
export function bindNotifySocket(path: string): NotifySocket {
  const { find } = loadCLibrary();
  const socket = find<(...args: number[]) => number>('int socket(int domain, int type, int protocol)');
  const bind = find<(fd: number, address: Buffer, size: number) => number>(
    'int bind(int fd, void *address, unsigned int size)',
  );
  const recv = find<(fd: number, data: Buffer, size: number, flags: number) => number>(
    'long recv(int fd, void *data, size_t size, int flags)',
  );
  const close = find<(fd: number) => number>('int close(int fd)');
  const fd = socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  const address = Buffer.alloc(110);
  address.writeUInt16LE(AF_UNIX);
  address.write(path, 2);
  if (bind(fd, address, address.length) !== 0) throw new Error(`cannot bind ${path}`);
  const messages: string[] = [];
  return {
    messages: () => {
      const data = Buffer.alloc(MAX_MESSAGE_BYTES);
      for (let size = recv(fd, data, data.length, MSG_DONTWAIT); Number(size) > 0; ) {
        messages.push(data.toString('utf8', 0, Number(size)));
        size = recv(fd, data, data.length, MSG_DONTWAIT);
      }
      return messages;
    },
    [Symbol.dispose]: () => {
      close(fd);
      rmSync(path, { force: true });
    },
  };
}
