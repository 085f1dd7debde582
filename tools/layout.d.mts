/** One line a problem of the tree as it stands, or of `files` whose texts `read` knows. */
export function checkLayout(files?: readonly string[], read?: (path: string) => string): string[];
