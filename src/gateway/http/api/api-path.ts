/** Address below which a gateway serves its API. */
export const API_PATH = '/-/api/v1';
