import type { ServiceImplementation } from '#rpc/server/handler';
import type { SmartHTTPService } from '#wire/gen/smarthttp_pb';
import type { SmartHttpDependencies } from './dependencies.ts';
import { infoRefsReceivePack } from './info-refs-receive-pack.ts';
import { infoRefsUploadPack } from './info-refs-upload-pack.ts';
import { postReceivePack } from './post-receive-pack.ts';
import { postUploadPack } from './post-upload-pack.ts';
import { postUploadPackWithSidechannel } from './post-upload-pack-with-sidechannel.ts';

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
