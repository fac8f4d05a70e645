/** The version in package.json, without reading a file at start; a test holds the two together. */
export const VERSION = '0.1.0';
