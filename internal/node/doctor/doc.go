// SPDX-License-Identifier: Apache-2.0

// Package doctor looks for what is wrong on a node: what the kernel lacks
// ([ExamineKernel]), in what state records, pins and store are ([ExamineState]), which chains
// differ from what is recorded of them ([CheckAll]), and what nobody needs any more
// ([Leftovers]).
//
// # Mechanism
//
// [Leftovers] looks at the whole node without a trace, so that it may be asked at any time: it
// goes from dead chains on to what was there for their sake alone. To remove a leftover is to
// look again, under the locks of those who might need it by then.
//
// # A member
//
// There is none here: a chain is looked at as a whole.
package doctor
