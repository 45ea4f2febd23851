import type { RunningServer } from './serve-until-stopped.ts';

/**
 * Opens something that shows a server to people, such as a console. It ends as soon as the server
 * drains, so that its address is free for a successor.
 *
 * @throws what `open` throws; the server has ended then.
 */
export async function withCompanion<Server extends RunningServer>(
  server: Server,
  open: (server: Server) => Promise<AsyncDisposable>,
): Promise<RunningServer> {
  try {
    const opened = await open(server);
    return {
      sockets: server.sockets,
      drain: async () => {
        await opened[Symbol.asyncDispose]();
        await server.drain();
      },
      [Symbol.asyncDispose]: async () => {
        await opened[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}
