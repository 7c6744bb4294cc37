package library

import "os"

func ownerOf(os.FileInfo) int { return 0 }
