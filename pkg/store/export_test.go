package store

// Install puts a staged model into its place in a directory, as [Pull] does.
func Install(dir, staged string, p Pulled) error { return (&puller{dir: dir}).install(staged, p) }
