// Types shared by the modules, for the type checker and for readers; this module has no code.

/**
 * What the table needs of each of its items.
 *
 * @typedef {object} Item
 * @property {string} name - The name in the API; unique.
 * @property {string} label - The display name, or an empty text.
 * @property {string} state
 * @property {string} text - The text that is searched, in lower case.
 */

/**
 * What the page shows at one time.
 *
 * @typedef {object} View
 * @property {string} tab - The tab that it belongs to.
 * @property {string} noun - What it lists: "file".
 * @property {string} [slow] - What is slow if nothing is loaded yet; the Gemini API by default.
 * @property {string} whyMissing - Why an item that a link names may not be listed.
 * @property {boolean} [keeps] - Whether what was loaded once can be shown at any address of the view, such as when the user
 *   comes back to it.
 * @property {(retry: boolean) => Promise<ListingResponse>} load
 * @property {(response: any) => void} show
 * @property {() => void} hide
 * @property {() => string[]} missing - The names of linked items that are not listed.
 * @property {(parameters: URLSearchParams) => void} restore - Takes filter and order from an address.
 * @property {() => URLSearchParams} parameters - What `restore` reads.
 */

/**
 * What a view needs of the page.
 *
 * @typedef {object} Page
 * @property {string} connection
 * @property {() => void} refresh - Loads again what is shown.
 * @property {() => void} onChange - Called when the parameters of the view have changed.
 * @property {(view: string, parameters?: URLSearchParams) => URLSearchParams} addressOf - The address of a view, by
 *   default as the user has left it.
 */

/**
 * The task instance that owns a file or a job.
 *
 * @typedef {object} Owner
 * @property {string} dag
 * @property {string} run
 * @property {string} task
 * @property {number} map - The map index; -1 if the task is not mapped.
 * @property {RunState} state
 */

/** @typedef {"running" | "finished" | "gone" | "unknown" | "elsewhere"} RunState */
/** @typedef {[dag: string, run: string, task: string, map: number, state: RunState]} OwnerRow */
/** @typedef {[dag: string, run: string, task: string, state: RunState]} FileOwnerRow - Without the map index. */

/**
 * A task that keeps documents.
 *
 * @typedef {object} TaskOwner
 * @property {string} dag
 * @property {string} task
 * @property {number} map - The map index; -1 if the task is not mapped.
 * @property {boolean} isHere - Whether it is a task of this deployment.
 */

/** @typedef {[dag: string, task: string, map: number, isHere: boolean]} TaskOwnerRow */

/**
 * Who owns a file; see `KINDS` in `files.js`.
 *
 * @typedef {"running" | "finished" | "shared" | "unknown" | "elsewhere" | "foreign"} Kind
 */

/**
 * @typedef {object} GeminiFile
 * @property {string} name - The name in the API: "files/...".
 * @property {string} label - The display name without the text that identifies the owner.
 * @property {Owner | null} owner
 * @property {boolean} shared - Whether all runs of its deployment share the file.
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
 * What the response of each listing has.
 *
 * @typedef {object} ListingResponse
 * @property {number} now - The time of the API server, in seconds since the epoch, as all times here.
 * @property {number | null} listed_at
 * @property {number} next_listing_at
 * @property {boolean} loading
 * @property {PageError | null} error
 */

/** @typedef {ListingResponse & {can_edit: boolean, usage: Usage | null, policy: Policy, parts: FilesPart[]}} FilesResponse */
/** @typedef {{owners: FileOwnerRow[], files: FileRow[]}} FilesPart - See `parts.py`. */
/** @typedef {ListingResponse & {can_edit: boolean, more: number, parts: BatchesPart[]}} BatchesResponse */
/** @typedef {{owners: OwnerRow[], batches: JobRow[]}} BatchesPart */
/** @typedef {ListingResponse & {stores: StoreRow[]}} StoresResponse */

/**
 * The response of the route `documents`; `more` is the number of documents that are not listed.
 *
 * @typedef {ListingResponse & {store: StoreRow | null, more: number, documents: DocumentRow[]}} DocumentsResponse
 */

/**
 * A file as `files.py` encodes it.
 *
 * @typedef {[
 *   owner: number | null,
 *   map: number,
 *   id: string,
 *   label: string,
 *   shared: "shared" | "elsewhere" | null,
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
 * What the row of a file does not have; see `details.py`.
 *
 * @typedef {object} Details
 * @property {string} name
 * @property {string | null} display_name
 * @property {string | null} uri
 * @property {string | null} sha256
 * @property {string | null} deployment - The Airflow deployment that has uploaded the file.
 * @property {string[] | null} jobs - The running batch jobs that read the file; null if the jobs are not known.
 */

/** @typedef {"model" | "batch" | "maybe_batch" | "cache" | "store"} How */
/** @typedef {[dag: string, run: string, task: string, map: number, state: string | null, at: number, how: How]} UseRow */

/**
 * A task instance that has used a file.
 *
 * @typedef {object} Use
 * @property {string} dag
 * @property {string} run
 * @property {string} task
 * @property {number} map - The map index; -1 if the task is not mapped.
 * @property {string | null} state - Of the task instance; null if it is not known.
 * @property {number} at - When the use was recorded.
 * @property {How} how
 */

/**
 * The response of the route `uses`; see `uses.py`.
 *
 * @typedef {object} UsesResponse
 * @property {boolean} loading
 * @property {PageError | null} error
 * @property {UseRow[] | null} uses - The newest ones; null if they are not known yet.
 * @property {number} more - How many others are known.
 * @property {number | null} missing_before - The time before which nothing is known, as XCom has too many entries.
 */

/**
 * A file search store as `stores.py` encodes it.
 *
 * @typedef {[
 *   name: string,
 *   label: string,
 *   documents: [active: number, pending: number, failed: number],
 *   size: number,
 *   model: string,
 *   created: number | null,
 *   updated: number | null,
 *   owners: (TaskOwnerRow | null)[],
 * ]} StoreRow
 */

/**
 * A file search store.
 *
 * @typedef {object} Store
 * @property {string} name
 * @property {string} label
 * @property {string} state - The worst state of its documents; see `STORE_STATES` in `stores.js`.
 * @property {number} active - Documents in this state, as are the next two.
 * @property {number} pending
 * @property {number} failed
 * @property {number} total - Documents in any state.
 * @property {number} size
 * @property {string} model - The embedding model.
 * @property {number | null} created
 * @property {number | null} updated
 * @property {(TaskOwner | null)[]} owners - The tasks that keep its first documents; null is another tool.
 * @property {string} text
 */

/**
 * A document as `stores.py` encodes it.
 *
 * @typedef {[
 *   name: string,
 *   label: string,
 *   state: string,
 *   size: number | null,
 *   type: string | null,
 *   source: string | null,
 *   updated: number | null,
 *   owner: TaskOwnerRow | null,
 * ]} DocumentRow
 */

/**
 * A document of a file search store.
 *
 * @typedef {object} StoreDocument
 * @property {string} name
 * @property {string} label
 * @property {string} state
 * @property {number | null} size
 * @property {string | null} type
 * @property {string | null} source - The URI of its source; null if it is not known.
 * @property {number | null} updated
 * @property {TaskOwner | null} owner
 * @property {string} text
 */

/**
 * The files of a Dag or a run, or those without an owner.
 *
 * @typedef {object} FileGroup
 * @property {string} name
 * @property {string} key - What identifies it in an address.
 * @property {string} label
 * @property {Kind} kind
 * @property {GeminiFile[]} members
 * @property {number} size - The bytes that count towards the quota.
 * @property {number | null} oldest - When its oldest file was created.
 * @property {number | null} expires - When its next file expires.
 */

/**
 * What the overview shows of a connection; null is what is not known. See `overview.py`.
 *
 * @typedef {object} Summary
 * @property {number} now
 * @property {number | null} listed_at
 * @property {boolean} loading
 * @property {PageError | null} error
 * @property {Usage | null} usage
 * @property {number} high_watermark - The part of the quota above which a cleanup frees space.
 * @property {{files: number, bytes: number} | null} expiring - Within 24 hours.
 * @property {number | null} running_jobs
 * @property {PageError | null} jobs_error
 */

/**
 * A row of the overview.
 *
 * @typedef {object} ConnectionItem
 * @property {string} name
 * @property {string} label - The id of the connection.
 * @property {string} state - See `STATES` in `overview.js`.
 * @property {Summary | null} summary
 * @property {PageError | null} error
 * @property {string} text
 */

/**
 * A batch job as `batches.py` encodes it.
 *
 * @typedef {[
 *   owner: number | null,
 *   name: string,
 *   label: string,
 *   state: string,
 *   hasEnded: boolean,
 *   model: string,
 *   counts: [total: number, successful: number, failed: number, pending: number] | null,
 *   created: number | null,
 *   ended: number | null,
 *   input: string | null,
 *   output: string | null,
 *   error: string | null,
 * ]} JobRow
 */

/**
 * A batch job.
 *
 * @typedef {object} Job
 * @property {string} name
 * @property {string} label
 * @property {Owner | null} owner
 * @property {string} state
 * @property {boolean} hasEnded
 * @property {string} model
 * @property {{total: number, successful: number, failed: number, pending: number} | null} counts - Of its requests; null
 *   if the service does not say.
 * @property {number | null} created
 * @property {number | null} ended
 * @property {string | null} input - The name of the file with the requests.
 * @property {string | null} output - The name of the file with the results.
 * @property {string | null} error
 * @property {string} text
 */

/**
 * What calls have spent; see `report.py`.
 *
 * @typedef {object} Costs
 * @property {number} calls - Answers, and caches that were created.
 * @property {number} input_tokens
 * @property {number} cached_tokens - Part of the input.
 * @property {number} output_tokens
 * @property {number} thoughts_tokens - Part of the output.
 * @property {number} batch_tokens - Input and output of batches.
 * @property {number} failed_calls - Of tasks that have failed.
 * @property {number} failed_tokens - Their input and output.
 * @property {number} caches - That were created.
 * @property {number} cache_tokens - Part of the input.
 * @property {number} cache_token_hours
 * @property {number} open_caches - Of which it is not known when they were deleted.
 * @property {number} documents - That were indexed; it is not known what this costs.
 * @property {number} document_bytes
 * @property {number | null} cost - Of the calls that have a price.
 * @property {"exact" | "at least" | "at most" | "about"} cost_is
 * @property {number} unpriced_calls
 */

/** @typedef {Costs & {dag_id?: string, task_id?: string, model?: string, day?: string}} CostRow */

/**
 * @typedef {object} CostsReport
 * @property {"dag" | "task" | "model" | "day"} by
 * @property {CostRow[]} groups
 * @property {Costs} total
 * @property {string | null} currency - Null if there are no prices.
 * @property {string[]} notes - What is to be known to read the numbers.
 */

/** @typedef {ListingResponse & {report: CostsReport | null}} CostsResponse */

/**
 * A row of the costs.
 *
 * @typedef {object} CostItem
 * @property {string} name
 * @property {string} label
 * @property {string} state - See `STATES` in `costs.js`.
 * @property {CostRow} row
 * @property {string} text
 */

/**
 * What the page shows of files: a decoded response of a successful listing.
 *
 * @typedef {object} Shown
 * @property {GeminiFile[]} files
 * @property {Usage} usage
 * @property {Policy} policy
 * @property {boolean} can_edit
 * @property {number} now
 */

/**
 * What a cleanup or uploads have deleted at a time, of an hour or more.
 *
 * @typedef {[at: number, files: number, bytes: number]} Deletion
 */

/**
 * The response of the route `history`: rows as `files/usage_history.py` has them.
 *
 * @typedef {object} HistoryResponse
 * @property {number} now
 * @property {number[][]} samples
 * @property {Deletion[]} cleanups
 * @property {Deletion[]} evictions
 * @property {number | null} full_in_hours - Null if the storage does not fill up.
 */

/**
 * The usage of the storage at a time.
 *
 * @typedef {object} HistorySample
 * @property {number} at
 * @property {number} files
 * @property {number[]} sizes - In bytes; see `PARTS` in `history.js`.
 */

/** @typedef {HistorySample & {from: number, to: number, used: number}} Bar - For how long a sample is shown. */

/**
 * Some days of the history.
 *
 * @typedef {object} Period
 * @property {number} days
 * @property {number} start
 * @property {number} end
 * @property {number} quota
 * @property {number} peak - The most bytes that a bar has.
 * @property {Bar[]} bars
 * @property {Deletion[]} cleanups
 * @property {Deletion[]} evictions
 */

/**
 * One day of the history.
 *
 * @typedef {object} Day
 * @property {number} at
 * @property {number | null} peak - The most bytes; null if there is no sample of that day.
 * @property {[files: number, bytes: number]} cleanups
 * @property {[files: number, bytes: number]} evictions
 */

/**
 * The outcome of the change of one item.
 *
 * @typedef {object} Result
 * @property {string} name
 * @property {string} outcome - Of a file: "deleted", "gone", "kept", "refused" or "failed"; of a job: "cancelled",
 *   "ended", "gone" or "failed".
 * @property {string | null} error
 */

/** @typedef {Record<string, {files: number, bytes: number}>} Counts - Files and bytes by reason. */

/**
 * The response of the route `dry-run`.
 *
 * @typedef {object} DryRun
 * @property {[name: string, reason: string][]} deletions - Those that the dialog lists at first.
 * @property {string[]} others - The names of the other files to delete.
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
