/** Address below which a gateway serves its API. */
export const API_PATH = '/-/api/v1';
/** Address of the same operations as tools of the Model Context Protocol. */
export const MCP_PATH = '/-/mcp';
/** Address of the page for agents. @see https://llmstxt.org */
export const LLMS_PATH = '/llms.txt';
/** Path of its description, below {@link API_PATH}. */
export const API_DOCUMENT = '/openapi.json';
