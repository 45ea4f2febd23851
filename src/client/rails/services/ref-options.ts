import {
  FindAllTagsRequest_SortBy_Key,
  FindLocalBranchesRequest_SortBy,
  ListRefsRequest_SortBy_Key,
} from '#wire/gen/ref_pb';
import { SortDirection } from '#wire/gen/shared_pb';

/** One page of a list. */
interface Page {
  /** Maximum number of items; a negative one, the default, means no limit. */
  readonly limit?: number;
  /** The full name of the last item of the previous page. */
  readonly pageToken?: string;
}

/** Order and range of branches; default by name. */
export interface LocalBranchesOptions extends Page {
  /** By name, or by the date of the commit, oldest or newest first. */
  readonly sortBy?: 'name_asc' | 'updated_asc' | 'updated_desc';
}

type Direction = 'asc' | 'desc';

/** Order and range of tags; default by name. */
export interface TagsOptions extends Page {
  /** `version` compares numbers in names as numbers. */
  readonly sortBy?: `${'name' | 'updated' | 'version'}_${Direction}`;
}

/** Selection and order of references; default by name. */
export interface ListRefsOptions extends Page {
  /** Only references to one of these objects. */
  readonly pointingAtOids?: readonly string[];
  /** Fills `peeledTarget`, which takes several times as long. */
  readonly peelTags?: boolean;
  readonly sortBy?: `${'name' | 'updated'}_${Direction}`;
}

const BRANCH_ORDERS = {
  name_asc: FindLocalBranchesRequest_SortBy.NAME,
  updated_asc: FindLocalBranchesRequest_SortBy.UPDATED_ASC,
  updated_desc: FindLocalBranchesRequest_SortBy.UPDATED_DESC,
};
const TAG_KEYS = {
  name: FindAllTagsRequest_SortBy_Key.REFNAME,
  updated: FindAllTagsRequest_SortBy_Key.CREATORDATE,
  version: FindAllTagsRequest_SortBy_Key.VERSION_REFNAME,
};
const REF_KEYS = {
  name: ListRefsRequest_SortBy_Key.REFNAME,
  updated: ListRefsRequest_SortBy_Key.CREATORDATE,
};

export function branchesFields({ sortBy = 'name_asc', ...page }: LocalBranchesOptions) {
  return { sortBy: BRANCH_ORDERS[sortBy], ...pageFields(page) };
}

export function tagsFields({ sortBy, ...page }: TagsOptions) {
  return { ...(sortBy !== undefined && { sortBy: orderBy(TAG_KEYS, sortBy) }), ...pageFields(page) };
}

export function listRefsFields({ pointingAtOids = [], peelTags = false, sortBy, ...page }: ListRefsOptions) {
  return {
    pointingAtOids: pointingAtOids.map((oid) => Buffer.from(oid)),
    peelTags,
    ...(sortBy !== undefined && { sortBy: orderBy(REF_KEYS, sortBy) }),
    ...pageFields(page),
  };
}

function orderBy<Name extends string, Key>(
  keys: Readonly<Record<Name, Key>>,
  sortBy: `${Name}_${Direction}`,
) {
  const at = sortBy.lastIndexOf('_');
  // The type shows that a name and a direction are joined.
  const key = keys[sortBy.slice(0, at) as Name];
  const isDescending = sortBy.slice(at) === '_desc';
  return { key, direction: isDescending ? SortDirection.DESCENDING : SortDirection.ASCENDING };
}

function pageFields({ limit, pageToken }: Page) {
  if (limit === undefined && pageToken === undefined) return {};
  return { paginationParams: { limit: limit ?? -1, pageToken: pageToken ?? '' } };
}
