// Types shared by the modules, for the type checker and for readers; this module has no code.

/**
 * The task instance that uploaded a file.
 *
 * @typedef {object} Owner
 * @property {string} dag
 * @property {string} run
 * @property {string} task
 * @property {number} map - The map index; -1 if the task is not mapped.
 * @property {RunState} state
 */

/** @typedef {"running" | "finished" | "gone" | "unknown" | "elsewhere"} RunState */

/**
 * Who owns a file; see `KINDS` in `files.js`.
 *
 * @typedef {"running" | "finished" | "shared" | "foreign"} Kind
 */

/**
 * @typedef {object} GeminiFile
 * @property {string} name - The name in the API: "files/...".
 * @property {string} label - The display name without the text that identifies the owner.
 * @property {Owner | null} owner
 * @property {boolean} shared - Whether all runs share the file.
 * @property {string | null} type - The MIME type.
 * @property {number} size - In bytes.
 * @property {number} counted - The bytes that count towards the quota.
 * @property {string} state
 * @property {number | null} created - In seconds since the epoch.
 * @property {number | null} expires - In seconds since the epoch.
 * @property {string | null} source
 * @property {string | null} error - Why processing failed.
 * @property {Kind} kind
 * @property {string} text - The text that is searched, in lower case.
 */

/**
 * @typedef {object} Usage
 * @property {number} used_bytes
 * @property {number} quota_bytes
 * @property {number} free_bytes
 * @property {number} share - The used part of the quota, from 0 to 1.
 * @property {number} files
 * @property {Record<string, number>} by_state
 */

/**
 * The retention policy as the form has it. Ages are in hours, watermarks are parts of the quota; null is no own limit.
 *
 * @typedef {object} Policy
 * @property {number | null} max_age
 * @property {number | null} max_age_finished
 * @property {number} high_watermark
 * @property {number} low_watermark
 * @property {boolean} include_shared
 * @property {boolean} include_foreign
 */

/**
 * An error that the API server describes; see `errors.py`.
 *
 * @typedef {object} PageError
 * @property {string} kind
 * @property {string} message
 */

/**
 * The response of the route `files`.
 *
 * @typedef {object} FilesResponse
 * @property {number} now - The time of the API server, in seconds since the epoch, as all times here.
 * @property {number | null} listed_at
 * @property {number} next_listing_at
 * @property {boolean} loading
 * @property {PageError | null} error
 * @property {boolean} can_edit
 * @property {Usage | null} usage
 * @property {Policy} policy
 * @property {FileRow[]} files
 */

/**
 * A file as `listings.py` encodes it.
 *
 * @typedef {[
 *   name: string,
 *   label: string,
 *   owner: [string, string, string, number, RunState] | null,
 *   shared: boolean,
 *   type: string | null,
 *   size: number,
 *   state: string,
 *   created: number | null,
 *   expires: number | null,
 *   source: string | null,
 *   error: string | null,
 * ]} FileRow
 */

/**
 * What the page shows: a decoded response of a successful listing.
 *
 * @typedef {object} Shown
 * @property {GeminiFile[]} files
 * @property {Usage} usage
 * @property {Policy} policy
 * @property {boolean} can_edit
 * @property {number} now
 */

/**
 * The outcome of the deletion of one file.
 *
 * @typedef {object} Result
 * @property {string} name
 * @property {string} outcome - "deleted", "gone", "kept", "refused" or "failed".
 * @property {string | null} error
 */

/** @typedef {Record<string, {files: number, bytes: number}>} Counts - Files and bytes by reason. */

/**
 * The response of the route `dry-run`.
 *
 * @typedef {object} DryRun
 * @property {[name: string, reason: string][]} deletions
 * @property {number} freed_bytes
 * @property {Counts} kept
 */

/**
 * The XCom value of a cleanup task.
 *
 * @typedef {object} CleanupReport
 * @property {Usage} before
 * @property {Usage} after
 * @property {boolean} dry_run
 * @property {Counts} deleted
 * @property {Counts} kept
 * @property {number} deleted_files
 * @property {number} deleted_bytes
 * @property {number} gone
 * @property {number} refused
 * @property {number} failed
 * @property {string[]} errors
 */

export {};
