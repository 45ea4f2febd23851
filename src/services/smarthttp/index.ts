import type { ServiceImplementation } from '#rpc/server/handler';
import type { SmartHTTPService } from '#wire/gen/smarthttp_pb';
import type { SmartHttpDependencies } from './dependencies.ts';
import { infoRefsReceivePack, infoRefsUploadPack } from './info-refs.ts';
import { postReceivePack } from './post-receive-pack.ts';
import { postUploadPack, postUploadPackWithSidechannel } from './post-upload-pack.ts';

/** Clones, fetches and pushes over HTTP: one request, one response. */
export function smartHttpService(
  deps: SmartHttpDependencies,
): ServiceImplementation<typeof SmartHTTPService> {
  return {
    infoRefsReceivePack: (request, context) => infoRefsReceivePack(request, context, deps),
    infoRefsUploadPack: (request, context) => infoRefsUploadPack(request, context, deps),
    postReceivePack: (requests, context) => postReceivePack(requests, context, deps),
    postUploadPack: (requests, context) => postUploadPack(requests, context, deps),
    postUploadPackWithSidechannel: (request, context) =>
      postUploadPackWithSidechannel(request, context, deps),
  };
}
