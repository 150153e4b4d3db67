/** A request to /_stub that cannot be done; `message` says why. */
export class AdminError extends Error {}
