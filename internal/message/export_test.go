package message

// TemplateProblem is checkLine's.
func TemplateProblem(line string) string {
	problem, _ := checkLine(line)
	return problem
}
