/** What SQS's SenderId has before a colon: uppercase letters and digits, so that neither ARNs nor sessions are among them. */
export const principalIdPattern = /^[A-Z0-9]{1,128}$/;

/** For a sentence: what is expected where a principal id belongs. */
export const principalIdForm =
  "a role's (AROA...), a user's (AIDA...) or an account's (12 digits), not an ARN and without a session";
