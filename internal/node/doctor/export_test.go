// SPDX-License-Identifier: Apache-2.0

package doctor

// NewSurvey is for tests of what changes during a look.
var NewSurvey = newSurvey

// LookAtShared looks at chains and at what several of them share.
func (s *survey) LookAtShared() ([]Leftover, []error) {
	s.chains()
	s.attachments()
	s.maps()
	s.libxdp()
	return s.found, s.errs
}
