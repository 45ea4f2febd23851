import { serveWith } from '#rpc/server/handler';
import { SmartHTTPService } from '#wire/gen/smarthttp_pb';
import type { SmartHttpDependencies } from './dependencies.ts';
import { infoRefsReceivePack, infoRefsUploadPack } from './info-refs.ts';
import { postReceivePack } from './post-receive-pack.ts';
import { postUploadPack, postUploadPackWithSidechannel } from './post-upload-pack.ts';

/** Clones, fetches and pushes over HTTP: one request, one response. */
export function smartHttpService(deps: SmartHttpDependencies) {
  return serveWith(SmartHTTPService, deps, {
    infoRefsReceivePack,
    infoRefsUploadPack,
    postReceivePack,
    postUploadPack,
    postUploadPackWithSidechannel,
  });
}
